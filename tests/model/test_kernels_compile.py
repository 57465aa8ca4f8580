"""Every kernel compiles for an H100 without one, and no captured step waits for the host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("triton", reason="triton, which compiles the kernels, is not installed")


@pytest.mark.timeout(280)
def test_kernels_compile_for_an_h100(tmp_path: Path) -> None:
    """In a process of its own, since it patches torch and Triton; compiled anew, not found in a cache."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.compiled_kernels"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "all compiled"

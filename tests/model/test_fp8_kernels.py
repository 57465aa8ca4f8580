"""The FP8 kernels' logic in Triton's interpreter on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

# The interpreter is chosen when triton is imported, so the checks run in a process of their own.
PROGRAM = Path(__file__).parent / "interpreted_fp8.py"


@pytest.mark.timeout(180)
def test_fp8_kernels_in_the_interpreter(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "all equal"

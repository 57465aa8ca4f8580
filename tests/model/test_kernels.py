"""The CUDA path's logic in Triton's interpreter on a CPU: kernels against torch, whole steps against the
decoders.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

# The interpreter is chosen when triton is imported, so the checks run in a process of their own.
PROGRAM = Path(__file__).parent / "interpreted_kernels.py"


@pytest.mark.timeout(280)
def test_kernels_and_fused_steps_in_the_interpreter(tmp_path):
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    environment["PYTHONPATH"] = str(root)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("all equal")

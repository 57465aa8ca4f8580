"""The CUDA path's logic in Triton's interpreter on a CPU: kernels against torch, whole steps against the
decoders.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.interpreter import run_interpreted

pytest.importorskip("triton")


@pytest.mark.timeout(280)
def test_kernels_in_the_interpreter(tmp_path: Path) -> None:
    run_interpreted("interpreted_kernels.py", tmp_path)


@pytest.mark.timeout(180)
def test_one_token_in_the_interpreter(tmp_path: Path) -> None:
    run_interpreted("interpreted_token.py", tmp_path)


@pytest.mark.timeout(180)
def test_sequential_head_in_the_interpreter(tmp_path: Path) -> None:
    run_interpreted("interpreted_sequence.py", tmp_path)


@pytest.mark.timeout(180)
def test_bookkeeping_in_the_interpreter(tmp_path: Path) -> None:
    run_interpreted("interpreted_settle.py", tmp_path)


@pytest.mark.timeout(280)
@pytest.mark.parametrize("choice", ["greedy", "sampled"])
def test_whole_steps_in_the_interpreter(tmp_path: Path, choice: str) -> None:
    """Greedy and sampled steps, of one token and of drafts, give the tokens of `ar` by plain torch."""
    run_interpreted("interpreted_steps.py", tmp_path, choice)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("choice", ["greedy", "sampled"])
def test_lenient_steps_in_the_interpreter(tmp_path: Path, choice: str) -> None:
    """Steps whose drafts stay where a judge lets them give what the plain path gives."""
    run_interpreted("interpreted_lenient.py", tmp_path, choice)


@pytest.mark.timeout(180)
def test_fp8_kernels_in_the_interpreter(tmp_path: Path) -> None:
    run_interpreted("interpreted_fp8.py", tmp_path)

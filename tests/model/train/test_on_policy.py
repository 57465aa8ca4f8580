"""On-policy learning: rewards, edit distance, resumed rounds, and a reward that rises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.train.onpolicy.pool import Pool
from model.train.onpolicy.trajectory import Pass, Rollout, levenshtein
from model.train.reading import ConfigError
from model.train.trainer import Trainer
from model.train.verifier import open_verifier
from tests.model.train.resuming import curve, interrupted
from tests.model.train.toy import judged, toy
from verify.verdict import NEVER_A_REWARD, Status
from verify.verifiers import TaskVerifier

lines = st.lists(st.integers(0, 3), max_size=8)


@given(lines, lines, lines)
def test_edit_distance_is_a_metric(a: list[int], b: list[int], c: list[int]) -> None:
    assert (levenshtein(a, b) == 0) == (a == b)
    assert levenshtein(a, b) == levenshtein(b, a) <= max(len(a), len(b))
    assert levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c)


def rollout(status: str, passes: int, width: int = 12) -> Rollout:
    made = [
        Pass(0, tuple((i, i, 0.5) for i in part.tolist()))
        for part in np.array_split(np.arange(width), passes)
    ]
    return Rollout("t", (1,), tuple(range(width)), tuple(made), status, False)


@given(st.integers(1, 12))
def test_surrogate_is_the_number_of_passes_without_rewrites(passes: int) -> None:
    assert rollout("passed", passes).surrogate_steps() == pytest.approx(passes)


@given(st.lists(st.tuples(st.sampled_from(sorted(map(str, Status))), st.integers(1, 12)), min_size=2))
@pytest.mark.parametrize("method", ["surrogate", "best_of_k"])
def test_reward_order(method: str, attempts: list[tuple[str, int]]) -> None:
    pool = Pool.of(0, [rollout(*attempt) for attempt in attempts], TaskVerifier.reward, method)
    weights = {(w.rollout.status, len(w.rollout.passes)): w.weight for w in pool.items}
    assert not {status for status, _ in weights} & set(map(str, NEVER_A_REWARD))
    dropped = sum(v for k, v in pool.figures.items() if k.startswith("rollout_dropped"))
    assert dropped == sum(status in set(map(str, NEVER_A_REWARD)) for status, _ in attempts)
    passed = [(n, w) for (status, n), w in weights.items() if status == "passed"]
    failed = [w for (status, _), w in weights.items() if status != "passed"]
    assert all(w > f for _, w in passed for f in failed)
    best = [len(w.rollout.passes) for w in pool.items if w.best]
    assert best == [min(n for n, _ in passed)] if passed else not best


def test_unknown_verifier_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'pythn' is not installed.*bend_hvm, python"):
        open_verifier("pythn")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads that answer 1, 2, 3 and 4 alike."""
    folder = tmp_path_factory.mktemp("mixed")
    Trainer(toy(folder, 60), folder / "run").fit()
    return folder / "run" / "heads"


@pytest.mark.parametrize("method", ["surrogate", "best_of_k"])
def test_resumes_on_the_same_curve(mixed: Path, tmp_path: Path, method: str) -> None:
    config = judged(tmp_path, 12, method, start=str(mixed))
    Trainer(config, tmp_path / "whole").fit()
    interrupted(config, tmp_path / "broken", 10).fit()
    assert curve(tmp_path / "whole") == curve(tmp_path / "broken")
    assert any(record.get("on_policy") for record in log(tmp_path / "whole"))  # it did learn from rollouts


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("method", "weight"), [("surrogate", 3.0), ("best_of_k", 1.0)])
def test_reward_rises(mixed: Path, tmp_path: Path, method: str, weight: float) -> None:
    """The data teach the wrong answer three times of four: with weight 0 it stays near a quarter."""
    config = judged(tmp_path, 25, method, weight=weight, start=str(mixed), every=3, attempts=10)
    Trainer(config, tmp_path / "run").fit()
    rounds = [r["rollout_solved"] for r in log(tmp_path / "run") if "rollout_solved" in r][::3]
    assert np.mean(rounds[:2]) < 0.6, rounds
    assert np.mean(rounds[-4:]) > 0.7, rounds

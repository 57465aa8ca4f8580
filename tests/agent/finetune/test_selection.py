"""From attempts to trajectories to what is worth learning from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import session
from agent.errors import FinetuneError
from agent.finetune.rollout import GREEDY, Attempt, attempts, roll_out
from agent.finetune.selection import Selection, candidate, documents, lists_examples, select
from model.data.decontaminate import Decontaminator
from model.errors import MemoryFullError
from tests.agent.finetune.conftest import Teacher, make_task
from verify.checker import Checker, open_checker
from verify.request import Case

Pair = tuple[Checker, Checker]
CLEAN = Decontaminator([])
LONG = "    total = x\n    total = total + 1\n    return total\n"
SHORT = "    return x + 1\n"
WRONG = "    return x\n"
LIST = "    return {1: 2, 5: 6}[x]\n"


@pytest.fixture(scope="module")
def checkers() -> Any:
    with open_checker(jobs=1) as one, open_checker(jobs=1) as two:
        yield one, two


def rolled(
    folder: Path, replies: dict[str, list[str]], checkers: Pair, sampled: int = 2
) -> tuple[list[dict[str, Any]], Teacher]:
    model = Teacher(replies)
    tasks = [make_task(name) for name in replies]
    rows = roll_out(tasks, attempts(sampled, 0.7), model, *checkers, folder, together=True)
    return rows, model


def selected(folder: Path, checkers: Pair, names: tuple[str, ...], **options: Any) -> Selection:
    known = {task.id: task for task in map(make_task, names)}
    return select(documents(folder), known, checkers[0], CLEAN, **options)


def test_attempts_are_recorded_and_not_made_twice(tmp_path: Path, checkers: Pair) -> None:
    replies = {"f": [SHORT, WRONG, LONG], "g": [WRONG]}
    rows, model = rolled(tmp_path, replies, checkers)
    assert [(r["task"], r["attempt"], r["ok"]) for r in rows] == [
        ("pkg/f", 0, True), ("pkg/f", 1, False), ("pkg/f", 2, True),
        ("pkg/g", 0, False), ("pkg/g", 1, False), ("pkg/g", 2, False),
    ]  # fmt: skip
    assert [r.temperature for r in sorted(model.asked, key=lambda r: r.seed)] == [0, 0, 0.7, 0.7, 0.7, 0.7]
    again, model = rolled(tmp_path, replies, checkers)
    assert again == rows
    assert not model.asked
    lines = (tmp_path / "attempts.jsonl").read_text().splitlines()
    (tmp_path / "attempts.jsonl").write_text("\n".join(lines[:4]) + '\n{"task": "pkg/g", "att')
    again, model = rolled(tmp_path, replies, checkers)
    assert len(model.asked) == 2
    made = [candidate(json.loads(s.trajectory.read_text())) for s in session.sessions(tmp_path)]
    assert {c.source for c in made if c} == {"doctest/train"}


def test_an_interrupt_keeps_what_was_answered(tmp_path: Path, checkers: Pair) -> None:
    class Impatient(Teacher):
        def generate(self, *args: Any) -> Any:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().generate(*args)

    tasks, replies = [make_task(n) for n in "abc"], {n: [SHORT] for n in "abc"}
    with pytest.raises(KeyboardInterrupt):
        roll_out(tasks, (GREEDY,), Impatient(replies), *checkers, tmp_path)
    assert len((tmp_path / "attempts.jsonl").read_text().splitlines()) == 2
    model = Teacher(replies)
    assert all(r["ok"] for r in roll_out(tasks, (GREEDY,), model, *checkers, tmp_path))
    assert len(model.asked) == 1


@pytest.mark.parametrize("together", [False, True])
def test_a_full_memory_keeps_what_was_answered(tmp_path: Path, checkers: Pair, together: bool) -> None:
    class Large(Teacher):
        def generate(self, *args: Any) -> Any:
            if len(self.asked) == 2:
                raise MemoryFullError("out of memory on cuda: lower the batch")
            return super().generate(*args)

    tasks, replies = [make_task(n) for n in "abc"], {n: [SHORT] for n in "abc"}
    with pytest.raises(MemoryFullError, match="lower the batch"):
        roll_out(tasks, (GREEDY,), Large(replies), *checkers, tmp_path, together=together)
    assert len((tmp_path / "attempts.jsonl").read_text().splitlines()) == 2
    model = Teacher(replies)
    rows = roll_out(tasks, (GREEDY,), model, *checkers, tmp_path, together=together, batch=7)
    assert all(row["ok"] for row in rows)
    assert len(model.asked) == 1
    assert model.batches == ([7] if together else [])


def test_a_broken_sandbox_ends_it(tmp_path: Path, checkers: Pair, monkeypatch: Any) -> None:
    def broken(*args: object) -> Any:
        from verify.sandbox import SandboxError

        raise SandboxError("gone")

    monkeypatch.setattr("verify.functions.function_check", broken)
    with pytest.raises(FinetuneError, match="gone") as error:
        roll_out([make_task("f")], (Attempt(1, 0.5),), Teacher({"f": [SHORT]}), *checkers, tmp_path)
    assert error.value.exit_code == 5


def test_each_trajectory_has_one_fate(tmp_path: Path, checkers: Pair) -> None:
    rolled(tmp_path, {"f": [LONG, SHORT, SHORT], "g": [WRONG, SHORT, SHORT]}, checkers)
    (tmp_path / "sessions" / "bad").mkdir()
    (tmp_path / "sessions" / "bad" / "trajectory.json").write_text("{")
    found = selected(tmp_path, checkers, ("f", "g"))
    assert {reason: len(ids) for reason, ids in found.dropped.items()} == {
        "not solved": 1,
        "damaged or no trajectory": 1,
        "duplicate": 2,
        "more steps than its task's median": 1,
    }
    assert [c.task for c in found.kept] == ["pkg/f", "pkg/g"]
    assert all(c.code.endswith(SHORT) for c in found.kept)
    assert found.total == 7
    assert found.as_dict()["kept_tasks"] == 2


def test_the_median_is_of_the_tasks_own_passes(tmp_path: Path, checkers: Pair) -> None:
    slow = "    y = x\n    y += 1\n    z = y\n    return z\n"
    rolled(tmp_path, {"f": [SHORT, LONG, slow]}, checkers)
    found = selected(tmp_path, checkers, ("f",), per_task=5)
    assert len(found.kept) == 2
    assert max(c.steps for c in found.kept) < max(len(slow), 1) + 10
    found = selected(tmp_path, checkers, ("f",), per_task=1)
    assert [c.code.endswith(SHORT) for c in found.kept] == [True]
    assert "over its task's share" in found.dropped


def edited(folder: Path, change: Any) -> None:
    for path in folder.rglob("trajectory.json"):
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))


@pytest.mark.parametrize("source", ["evals/agent", "humaneval", "doctest/held-out", ""])
def test_benchmarks_are_refused_and_listed(tmp_path: Path, checkers: Pair, source: str) -> None:
    rolled(tmp_path, {"f": [SHORT]}, checkers, sampled=0)
    edited(tmp_path, lambda d: d["extra"].update(source=source))
    found = selected(tmp_path, checkers, ("f",))
    assert not found.kept
    assert list(found.refused.values()) == [f"from {source or 'an unknown source'}"]


def test_an_overlap_with_a_benchmark_is_refused(tmp_path: Path, checkers: Pair) -> None:
    rolled(tmp_path, {"f": [SHORT]}, checkers, sampled=0)
    task = make_task("f")
    clean = Decontaminator([task.stub + SHORT + "and some more words of a benchmark"])
    found = select(documents(tmp_path), {task.id: task}, checkers[0], clean)
    assert list(found.refused.values()) == ["overlaps a benchmark (10-gram)"]


def test_a_program_that_no_longer_passes_is_dropped(tmp_path: Path, checkers: Pair) -> None:
    rolled(tmp_path, {"f": [SHORT]}, checkers, sampled=0)
    task = make_task("f", cases=(Case((1,), expected=3),))
    found = select(documents(tmp_path), {task.id: task}, checkers[0], CLEAN)
    assert list(found.dropped) == ["fails when verified again"]


def test_token_ids_of_another_base_or_none_are_dropped(tmp_path: Path, checkers: Pair) -> None:
    rolled(tmp_path, {"f": [SHORT]}, checkers, sampled=0)
    assert list(selected(tmp_path, checkers, ("f",), base_sha256="x").dropped) == ["made with another base"]
    edited(tmp_path, lambda d: d["steps"][1]["metrics"].update(completion_token_ids=[]))
    assert "no token ids" in next(iter(selected(tmp_path, checkers, ("f",)).dropped))


def test_a_users_task_is_verified_by_its_own_examples(tmp_path: Path, checkers: Pair) -> None:
    rolled(tmp_path, {"f": [SHORT]}, checkers, sampled=0)
    edited(tmp_path, lambda d: d["extra"].update(source="user", task="mine"))
    assert [c.task for c in selected(tmp_path, checkers, ()).kept] == ["mine"]
    edited(tmp_path, lambda d: d["steps"][0].update(message="Do something."))
    assert list(selected(tmp_path, checkers, ()).dropped) == ["no cases to verify it by again"]


def test_programs_that_list_their_examples() -> None:
    cases = (Case(("abc",), expected="xyz"), Case(("def",), expected="uvw"))
    table = 'def f(s):\n    """abc def"""\n    return {"abc": "xyz", "def": "uvw"}[s]\n'
    assert lists_examples(table, cases)
    assert not lists_examples('def f(s):\n    """abc xyz def uvw"""\n    return s[::-1]\n', cases)
    assert not lists_examples('def f(s):\n    return "xyz" if s == "abc" else s\n', cases), (
        "one may be special"
    )
    assert not lists_examples(LIST, (Case((1,), expected=2), Case((5,), expected=6))), (
        "small numbers are common"
    )
    assert not lists_examples("def f(:", cases)


def test_a_folder_without_trajectories_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FinetuneError, match="holds no trajectories"):
        list(documents(tmp_path))

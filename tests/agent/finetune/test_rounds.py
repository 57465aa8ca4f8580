"""A whole round on the tiny base: real training, a teacher in the place of decoding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from agent import session
from agent.cli import cli, main
from agent.errors import FinetuneError
from agent.finetune import rounds, training
from agent.finetune.rounds import Finetune, Settings
from agent.finetune.tasks import write_tasks
from agent.finetune.training import Recipe, replayed
from agent.headstore import HeadStore
from model import load
from model.data.samples import Sample, Samples
from model.heads import read_record
from tests.agent.finetune.conftest import Teacher, make_task

RIGHT, WRONG = "    return x + 1\n", "    return x\n"
HELD_OUT = [f"h{i}" for i in range(8)]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    made = [make_task(name) for name in ("f", "g")]
    made += [make_task(name, split="held-out") for name in HELD_OUT]
    write_tasks(tmp_path / "tasks.jsonl", made)
    return tmp_path / "tasks.jsonl"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What old and new heads answer on held-out tasks; `loads` is which heads were loaded."""
    state: dict[str, Any] = {"old": WRONG, "new": RIGHT, "loads": [], "shorter": 1}

    def opened(name: str, *, device: str, heads: str) -> Teacher:
        state["loads"].append(heads)
        new = heads != "none"
        held = {name: [state["new" if new else "old"]] for name in HELD_OUT}
        steps = (lambda n: n // state["shorter"]) if new else (lambda n: n)
        return Teacher({"f": [RIGHT, WRONG], "g": ["    y = x + 1\n    return y\n"], **held}, forwards=steps)

    monkeypatch.setattr(load, "load", opened)
    return state


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and heads that the tiny base trains in a second."""
    real = training.configuration

    def configured(*args: Any) -> Any:
        from model.train.config import TrainConfig

        raw = json.loads(json.dumps(real(*args).as_dict()))
        raw["training"] |= {"row_tokens": 1024, "draft_tokens": 64, "save_every": 1, "draft_vocabulary": 0}
        raw["seed_diffusion"]["block_size"] = [8]
        for head in ("ar_head", "diffusion_head", "length_head"):
            raw[head] |= {"r": 4, "alpha": 8}
        raw["sequential_head"]["width"] = 8
        return TrainConfig.parse(raw)

    monkeypatch.setattr(training, "configuration", configured)


def settings(path: Path, **changes: Any) -> Settings:
    return Settings(**{"model": "tiny", "tasks": path, "sampled": 1, "device": "cpu", **changes})


def test_better_heads_are_promoted_and_loaded_from_then_on(tasks: Path, models: dict[str, Any]) -> None:
    stages: list[str] = []
    loop = Finetune(settings(tasks), lambda stage, done, total: stages.append(stage))
    report = loop.round()
    assert report["promoted"]
    assert report["why"] == "pass@1 rose by 100.0 points"
    assert report["selection"]["kept_tasks"] == 2
    assert report["selection"]["dropped"] == {"duplicate": 1, "not solved": 1}
    assert report["drift"]["kl"] >= 0
    assert list(dict.fromkeys(stages)) == [
        "rolling out", "loading the model", "selecting", "training", "held out, old heads",
        "held out, new heads", "drift",
    ]  # fmt: skip
    store = HeadStore("tiny")
    assert store.current == report["version"] == 1
    assert read_record(load.version_folder("tiny", 1))["config"]["heads"].keys() == {
        "ar_head", "diffusion_head", "length_head",
    }  # fmt: skip
    assert load.heads_folder(loop.folder, None) == load.version_folder("tiny", 1)

    again = Finetune(settings(tasks)).round()
    assert again["round"] == 2
    assert again["old_version"] == 1
    assert again["rows"] == {"new": 2, "replayed": 0}, "a quarter of two rows is none"
    assert not again["promoted"]
    assert again["why"] == "neither pass@1 nor steps improved by more than chance"
    assert store.current == 1, "the old heads stay"
    assert [v.number for v in store.versions()] == [0, 1, 2]


def test_worse_heads_stay_out(tasks: Path, models: dict[str, Any]) -> None:
    models |= {"old": RIGHT, "new": WRONG}
    report = Finetune(settings(tasks)).round()
    assert (report["promoted"], report["why"]) == (False, "pass@1 fell by 100.0 points")
    assert HeadStore("tiny").current == 0


def test_fewer_steps_at_equal_pass_are_promoted(tasks: Path, models: dict[str, Any]) -> None:
    models |= {"old": RIGHT, "shorter": 2}
    report = Finetune(settings(tasks)).round()
    assert report["promoted"]
    assert report["evaluation"]["steps_change"][0] == pytest.approx(-0.5, abs=0.1)


def test_a_dry_run_shows_all_but_training_and_is_gone_on_with(tasks: Path, models: dict[str, Any]) -> None:
    report = Finetune(settings(tasks, dry_run=True)).round()
    assert report["dry_run"]
    assert len(report["selection"]["kept"]) == 2
    home = session.data_folder() / "finetune" / "tiny"
    assert {p.name for p in (home / "round-001").iterdir()} == {
        "begun.json", "rollouts", "selection.json",
    }  # fmt: skip
    assert not (home / "kept").exists()
    models["loads"].clear()
    (made := home.parent / "made").mkdir()
    (made / "heads.json").write_text("{}")
    store = HeadStore("tiny")
    store.use(store.add(made, {}))
    with pytest.raises(FinetuneError, match="begun with version 0 of the heads, 1 is in use"):
        Finetune(settings(tasks)).round()
    store.rollback()
    report = Finetune(settings(tasks)).round()
    assert report["round"] == 1
    assert models["loads"] == ["none", str(home / "round-001" / "train" / "heads")], "no rollout again"


@pytest.mark.parametrize("stage", ["training", "held out, old heads", "held out, new heads", "drift"])
def test_an_interrupt_anywhere_loses_no_stage(tasks: Path, models: dict[str, Any], stage: str) -> None:
    def stop(now: str, done: int, total: int) -> None:
        if now == stage and (done or stage == "drift"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Finetune(settings(tasks), stop).round()
    folder = session.data_folder() / "finetune" / "tiny" / "round-001"
    trained = (folder / "train" / "checkpoints").is_dir()
    assert trained
    before = len(session.sessions(folder / "rollouts"))
    report = Finetune(settings(tasks)).round()
    assert report["round"] == 1
    assert report["promoted"]
    assert len(session.sessions(folder / "rollouts")) == before == 4


def test_nothing_worth_learning_from_is_an_error(
    tasks: Path, models: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(rounds, "select", lambda *a, **k: rounds.Selection())
    with pytest.raises(FinetuneError, match=r"selection\.json says why"):
        Finetune(settings(tasks)).round()


def test_what_is_missing_is_said_before_any_work(tasks: Path, tmp_path: Path) -> None:
    for given, message in (
        ({"tasks": None}, "nothing to learn from"),
        ({"tasks": None, "trajectories": (tmp_path,)}, "held-out tasks: give --tasks"),
        ({"model": "nothing-of-that-name"}, "nothing-of-that-name"),
    ):
        with pytest.raises(FinetuneError, match=message):
            Finetune(settings(tasks, **given))
    write_tasks(tasks, [make_task("f")])
    with pytest.raises(FinetuneError, match="and held-out ones"):
        Finetune(settings(tasks))


def test_earlier_rows_are_replayed_but_not_those_of_another_tokenizer(tmp_path: Path) -> None:
    def rows(count: int, mark: int, tokenizer: str) -> Samples:
        one = Sample(np.array([mark], np.int32), np.array([1, 2], np.int32))
        return Samples([one] * count, {"tokenizer": tokenizer})

    rows(6, 7, "a").save(tmp_path / "one.npz")
    rows(6, 8, "b").save(tmp_path / "two.npz")
    found = replayed(rows(8, 0, "a"), tmp_path.glob("*.npz"), 0.5, 1)
    assert [int(s.prompt[0]) for s in found] == [0] * 8 + [7] * 4
    assert found.meta["replayed"] == 4


def test_the_command(tasks: Path, models: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    args = ["finetune", "--tasks", str(tasks), "--model", "tiny", "--sampled", "1", "--device", "cpu"]
    shown = CliRunner().invoke(cli, [*args, "--dry-run"], catch_exceptions=False).stdout
    assert "dry run: nothing was trained" in shown
    assert "duplicate" in shown
    result = CliRunner().invoke(cli, [*args, "--json"], standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1]["report"]["promoted"]
    assert {"stage": "held out, old heads", "done": 8, "total": 8} in lines
    result = CliRunner().invoke(cli, args, standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 1
    assert "the old heads stay" in result.stdout
    assert "8 held-out tasks" in result.stdout
    heads = ["heads", "show", "--base", "tiny"]
    assert CliRunner().invoke(cli, heads, catch_exceptions=False).stdout == result.stdout, "the newest"
    made = json.loads(CliRunner().invoke(cli, [*heads, "1", "--json"], catch_exceptions=False).stdout)
    assert made["report"]["promoted"]
    assert Path(made["folder"]) == load.version_folder("tiny", 1)
    with pytest.raises(SystemExit) as end:
        main(["finetune", "--tasks", str(tasks.with_name("missing.jsonl")), "--model", "tiny"])
    assert end.value.code == 2
    assert "missing.jsonl' does not exist" in capsys.readouterr().err


def test_recipes_become_configurations() -> None:
    config = training.configuration("tiny", None, Path("rows.npz"), Recipe(epochs=2, seconds=9), "cpu", 1000)
    assert config.ar_head.train
    assert config.training.seconds == 9
    assert config.training.max_steps >= 2

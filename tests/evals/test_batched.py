"""Answers made together are those made one by one; runs that only generate are judged later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from evals.batched import can_batch
from evals.benchmark import open_benchmark
from evals.cli import cli, main
from evals.errors import DataError, ModelFailureError, UsageError
from evals.from_model import FromModel
from evals.judge import Judge
from evals.run import evaluate
from evals.rundir import SAMPLES, TIMING, VERDICTS, RunFolder
from evals.settings import Settings
from evals.source import open_source
from model.errors import ContextOverflowError
from model.judge import Judge as LenientJudge
from model.lanes import Lanes
from model.request import GenerateRequest, Generation, ModelInfo, Step, Token
from model.rules import Rules
from model.tiny import tiny_folder


class Together:
    """Answers a request with its prompt's length in tokens `x`; a batch ends them shortest first."""

    def __init__(self, device: str = "cuda", dies_after: int = 10**9) -> None:
        self.info = ModelInfo("together", "fake", 10_000, device, "none")
        self.batches: list[int] = []
        self.singles = 0
        self.dies_after = dies_after

    def generate(self, request: GenerateRequest, cancel: Any = None) -> Iterator[Step]:
        self.singles += 1
        self._accept(request)
        return self._steps(request)

    def _accept(self, request: GenerateRequest) -> None:
        if "next_smallest" in request.messages[0].content:
            raise ContextOverflowError("too long")

    def generate_many(
        self, requests: Sequence[GenerateRequest], cancel: Any = None, max_batch: int | None = None
    ) -> Iterator[tuple[int, Step]]:
        for request in requests:
            self._accept(request)
        self.batches.append(len(requests))
        running = [(index, self._steps(request)) for index, request in enumerate(requests)]
        ended = 0
        while running:
            for index, steps in list(running):
                step = next(steps)
                yield index, step
                if step.result is not None:
                    running.remove((index, steps))
                    ended += 1
                    if ended >= self.dies_after:
                        return

    def _steps(self, request: GenerateRequest) -> Iterator[Step]:
        count = 1 + len(request.messages[0].content) % 7
        for i in range(count):
            yield Step(i, committed=(Token(i, 1, "x", 1.0),))
        yield Step(
            count,
            result=Generation(
                "x" * count, (1,) * count, (0.0,) * count, tuple(range(count)), 5, count, count, 0.5, 0.1,
                "stop", "together", "ar",
            ),
        )  # fmt: skip


def source(model: Together, settings: Settings, batch: int | None = None) -> FromModel:
    models: Any = {(settings.model, settings.heads, settings.device): model}
    return FromModel(open_benchmark(settings.benchmark), settings, models=models, batch=batch)


def run(path: Path, model: Together, batch: int | None = None, **more: Any) -> dict[str, Any]:
    settings = Settings("humaneval", "together", limit=more.pop("limit", 9))
    return evaluate(
        open_benchmark("humaneval"), settings, path, source=source(model, settings, batch), jobs=1, **more
    )


def test_a_batch_gives_the_samples_of_single_answers(tmp_path: Path) -> None:
    one, many = Together(), Together()
    run(tmp_path / "one", one, batch=1)
    summary = run(tmp_path / "many", many)
    assert (one.batches, many.batches) == ([], [9])
    # Each prompt is encoded once: the batch is not preceded by single requests.
    assert (one.singles, many.singles) == (9, 0)
    for name in (SAMPLES, VERDICTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
    rows = list(RunFolder(tmp_path / "many").rows(TIMING))
    # Shares add up to the time of the batch, while each answer keeps its own time.
    assert {row["wall_s"] for row in rows} == {0.5}
    assert summary["speed"]["generate_s"] == pytest.approx(sum(row["share_s"] for row in rows), abs=1e-3)
    assert summary["speed"]["generate_s"] < 0.5


def test_a_broken_batch_is_resumed_with_what_is_missing(tmp_path: Path) -> None:
    run(tmp_path / "whole", Together())
    with pytest.raises(ModelFailureError, match="without 5 of 9"):
        run(tmp_path / "run", Together(dies_after=4))
    again = Together()
    run(tmp_path / "run", again, resume=True)
    assert again.batches == [5]
    for name in (SAMPLES, VERDICTS):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_prompt_that_does_not_fit_costs_the_others_nothing(tmp_path: Path) -> None:
    model = Together()
    settings = Settings("humaneval", "together", tasks="0,1,90")
    summary = evaluate(
        open_benchmark("humaneval"), settings, tmp_path / "r", source=source(model, settings), jobs=1
    )
    assert model.batches == [2]
    assert summary["finish"] == {"context_overflow": 1, "stop": 2}


@pytest.mark.parametrize(
    ("device", "batch", "decode", "benchmark", "expected"),
    [
        ("cuda:1", None, "ar", "humaneval", True),
        ("cpu", None, "ar", "humaneval", False),
        ("cpu", 4, "ar", "humaneval", True),
        ("cuda", 1, "ar", "humaneval", False),
        ("cuda", None, "verified", "humaneval", False),
        ("cuda", None, "ar", "repair", False),
    ],
)
def test_when_answers_are_batched(
    device: str, batch: int | None, decode: Any, benchmark: str, expected: bool
) -> None:
    assert source(Together(device), Settings(benchmark, "together", decode), batch).batched is expected
    assert not can_batch(object(), None)  # type: ignore[arg-type]  # a model without generate_many


def test_the_rule_reaches_the_decoder() -> None:
    settings = Settings("humaneval", "m", "diffusion", rule="entropy", block=16, threshold=0.3)
    asked = source(Together(), settings)._request(open_benchmark("humaneval").tasks["HumanEval/0"], 0)
    rules = Rules.of(asked)
    assert (rules.rule, rules.block, rules.threshold) == ("entropy", 16, 0.3)
    settings = Settings("humaneval", "m", "diffusion", window=1, threshold=0.3)
    asked = source(Together(), settings)._request(open_benchmark("humaneval").tasks["HumanEval/0"], 0)
    assert Rules.of(asked).judge == LenientJudge(0.3, 1)


def test_the_engine_gives_the_same_samples_in_a_batch(tmp_path: Path) -> None:
    settings = Settings("edit", "tiny", limit=3, n=2, temperature=0.9, max_tokens=12, device="cpu")
    benchmark = open_benchmark("edit")
    for name, batch in (("one", 1), ("many", 4)):
        opened = open_source(benchmark, settings, batch=batch)
        evaluate(benchmark, settings, tmp_path / name, source=opened, score=False)
    one, many = (RunFolder(tmp_path / name).samples() for name in ("one", "many"))
    assert one == many
    assert sum(sample.tokens for sample in one) > 0


def test_generated_without_a_sandbox_and_judged_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, late = tmp_path / "whole", tmp_path / "late"
    run(whole, Together(), limit=3)
    monkeypatch.setattr(Judge, "checker", property(lambda self: pytest.fail("a sandbox was opened")))
    summary = run(late, Together(), limit=3, score=False)
    monkeypatch.undo()
    assert (summary["pending"], summary["n_samples"], summary["tokens"] > 0) == (3, 0, True)
    done = CliRunner().invoke(cli, ["score", str(late), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["n_samples"] == 3
    for name in (SAMPLES, VERDICTS):
        assert (whole / name).read_bytes() == (late / name).read_bytes()
    with pytest.raises(UsageError, match="in place"):
        CliRunner().invoke(
            cli, ["score", str(late), "--partial"], catch_exceptions=False, standalone_mode=False
        )


def test_samples_in_evalplus_folder_form_both_ways(tmp_path: Path, plus_data: Path) -> None:
    invoke = CliRunner().invoke
    data = ["--data", str(plus_data)]
    run_dir, folder = tmp_path / "run", tmp_path / "folder"
    first = ["run", "humaneval+", "--model", "canonical", "--n", "2", "--out", str(run_dir), "--json", *data]
    assert invoke(cli, first, catch_exceptions=False).exit_code == 0
    export = ["export", str(run_dir), "--format", "evalplus-folder", "-o", str(folder)]
    assert "8 samples" in invoke(cli, export, catch_exceptions=False).stdout
    assert sorted(p.name for p in (folder / "HumanEval_0").iterdir()) == ["0.py", "1.py"]
    for n in range(2, 12):  # samples go by number, not by name
        (folder / "HumanEval_0" / f"{n}.py").write_text(f"def total(*args):\n    return sum(args[0]) + {n}")
    (folder / "notes.txt").write_text("not a task")
    (folder / "HumanEval_9").mkdir()
    (folder / "HumanEval_9" / "0.py").write_text("x")
    scored = invoke(cli, ["score", str(folder), "--json", *data], catch_exceptions=False)
    assert json.loads(scored.stdout)["n_samples"] == 18
    assert "HumanEval_9/0.py: skipped" in scored.stderr
    rows = RunFolder(tmp_path / "folder-scored").samples()
    assert [s.solution[-2:].strip() for s in rows if s.task_id == "HumanEval/0"][2:] == [
        str(n) for n in range(2, 12)
    ]


def test_an_empty_folder_holds_no_sample(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sample"):
        CliRunner().invoke(cli, ["score", str(tmp_path)], catch_exceptions=False, standalone_mode=False)


def test_the_results_file_of_evalplus_is_read_back(tmp_path: Path, plus_data: Path) -> None:
    invoke = CliRunner().invoke
    data = ["--data", str(plus_data)]
    run_dir, file = tmp_path / "run", tmp_path / "samples_eval_results.json"
    first = ["run", "humaneval+", "--model", "canonical", "--n", "2", "--out", str(run_dir), "--json", *data]
    assert invoke(cli, first, catch_exceptions=False).exit_code == 0
    export = ["export", str(run_dir), "--format", "evalplus-results", "-o", str(file)]
    assert invoke(cli, export, catch_exceptions=False).exit_code == 0
    scored = invoke(cli, ["score", str(file), "--json", *data], catch_exceptions=False)
    assert (json.loads(scored.stdout)["n_samples"], json.loads(scored.stdout)["pass_at_1"]) == (8, 1.0)
    file.write_text(json.dumps({"eval": {"HumanEval/0": [{"base_status": "pass"}]}}))
    with pytest.raises(DataError, match=r"HumanEval/0 \[0\]: solution must be a string"):
        invoke(cli, ["score", str(file), *data], catch_exceptions=False, standalone_mode=False)
    file.write_text(json.dumps({"eval": {"HumanEval/0": "pass"}}))
    with pytest.raises(DataError, match="not a list of objects"):
        invoke(cli, ["score", str(file), *data], catch_exceptions=False, standalone_mode=False)


def test_a_full_memory_is_one_line_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    base = str(tiny_folder(tmp_path / "base", context=8192))
    words = ["run", "humaneval", "--model", base, "--device", "cpu", "--decode", "ar", "--no-score"]
    words += ["--limit", "4", "--max-tokens", "1", "--out", str(out), "--batch"]
    real, launches = Lanes.launch, 0

    def launch(self: Lanes, rows: int) -> Any:
        nonlocal launches
        launches += 1
        if launches == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "launch", launch)
        with pytest.raises(SystemExit) as end:
            main([*words, "2"])
    assert end.value.code == 4
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == f"run folder: {out} (the same command with --out {out} --resume goes on)"
    assert said[-1].startswith("error: out of memory on cpu")
    assert "lower the batch (up to 2 answers are decoded together)" in said[-1]
    assert len(list(RunFolder(out).samples())) == 2
    done = CliRunner().invoke(cli, [*words, "1", "--resume"], catch_exceptions=False)
    assert done.exit_code == 0
    assert len(list(RunFolder(out).samples())) == 4

"""Our own benchmarks: references pass, starting points fail, nothing is borrowed from HumanEval."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from evals.benchmark import Benchmark, Task, open_benchmark
from evals.benchmarks.repair import TURNS
from evals.contamination import Index
from evals.judge import Judge
from evals.packs.agent_tasks import AGENT_TASKS
from evals.packs.mutate import cases, mutants
from evals.packs.programs import PROGRAMS
from model.request import GenerateRequest, Generation
from verify.bend import toolchain
from verify.request import FunctionCheck


@pytest.mark.parametrize(("name", "least"), [("repair", 60), ("edit", 30), ("agent", 12), ("bend", 40)])
def test_sizes_ids_and_prompts(name: str, least: int) -> None:
    benchmark = open_benchmark(name)
    assert len(benchmark.tasks) >= least
    for task in benchmark.tasks.values():
        assert task.id.startswith(f"{name}/")
        assert task.category
        messages = benchmark.messages(task)
        assert messages[0].role == "user"
        assert task.reference.strip() not in messages[0].content
    assert benchmark.version == open_benchmark(name).version


@pytest.mark.parametrize("name", ["repair", "edit", "agent"])
def test_references_pass(name: str, judge: Judge) -> None:
    benchmark = open_benchmark(name)
    failed = [t.id for t in benchmark.tasks.values() if not benchmark.score(t, t.reference, judge).ok]
    assert failed == []


def test_every_broken_program_fails_but_not_everywhere(judge: Judge) -> None:
    benchmark = open_benchmark("repair")
    for task in benchmark.tasks.values():
        scored = benchmark.score(task, task.data["broken"], judge)
        assert not scored.infra
        assert 0 < scored.base.passed < scored.base.total, task.id
        visible = judge.check(FunctionCheck(task.reference, task.entry, task.data["cases"][::2]))
        assert visible.ok


def test_files_before_an_edit_fail(judge: Judge) -> None:
    benchmark = open_benchmark("edit")
    for task in benchmark.tasks.values():
        assert not benchmark.score(task, task.data["before"], judge).ok, task.id


def test_agent_starting_points_fail_and_visible_cases_alone_do_not_decide(judge: Judge) -> None:
    benchmark = open_benchmark("agent")
    for given in AGENT_TASKS:
        task = benchmark.tasks[f"agent/{given.name}"]
        if given.before:
            assert not benchmark.score(task, given.before, judge).ok, task.id
        # A table of the visible answers passes the visible cases and must fail the hidden ones.
        table = {
            repr(tuple(args)): result
            for args, result in zip(given.visible, given.results(given.visible), strict=True)
        }
        cheat = f"def {given.entry}(*args):\n    return {table!r}.get(repr(args))"
        scored = benchmark.score(task, cheat, judge)
        assert scored.base.passed >= len(given.visible)
        assert not scored.ok, task.id


def test_repair_tasks_are_mutants_of_the_programs() -> None:
    """The file is the output of `python -m evals.packs.mutate`; here without running 1,000 mutants again."""
    chosen = PROGRAMS[::4]
    sources = {program.entry: {source for _, source in mutants(program.source)} for program in chosen}
    text = resources.files("evals.packs").joinpath("repair.jsonl").read_text()
    for row in map(json.loads, text.splitlines()):
        assert row["entry"] not in sources or row["broken"] in sources[row["entry"]]


def test_programs_have_inputs_that_do_not_change_from_run_to_run() -> None:
    for program in PROGRAMS:
        assert program.inputs() == program.inputs()
        assert len({repr(case.expected) for case in cases(program)}) > 1, program.entry


def test_nothing_is_borrowed_from_humaneval() -> None:
    index = Index(open_benchmark("humaneval").tasks.values())
    for name in ("repair", "edit", "agent", "bend"):
        for task in open_benchmark(name).tasks.values():
            found = [f for f in index.search(task.prompt, task.id) if f.kind != "syntax"]
            assert found == []


class Answers:
    """Gives prepared answers and keeps what it was asked."""

    model: Any = None

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[GenerateRequest] = []

    def __call__(self, request: GenerateRequest) -> Generation:
        self.asked.append(request)
        text = self.texts.pop(0)
        return Generation(text, (), (), (), 1, 1, 1, 0.0, 0.0, "stop", "m", "ar")


def attempt(benchmark: Benchmark, task: Task, answers: Answers, judge: Judge) -> Any:
    return benchmark.attempt(task, answers, GenerateRequest(messages=benchmark.messages(task)), judge)


def test_repair_shows_evidence_and_stops_when_mended(judge: Judge) -> None:
    benchmark = open_benchmark("repair")
    task = benchmark.tasks["repair/within-0"]
    answers = Answers(task.data["broken"], task.reference, "never asked")
    made = attempt(benchmark, task, answers, judge)
    assert made.turns == 2
    assert benchmark.score(task, made.solution, judge).ok
    first, second = (request.messages for request in answers.asked)
    assert "must give" in first[0].content
    assert len(second) == 4
    assert "must give" in second[2].content
    stubborn = attempt(benchmark, task, Answers(*["no code"] * TURNS), judge)
    assert (stubborn.turns, stubborn.solution) == (TURNS, "")


def test_the_agent_benchmark_runs_the_loop(judge: Judge) -> None:
    from model.scripted import ScriptedModel

    benchmark = open_benchmark("agent")
    task = benchmark.tasks["agent/pages"]
    answers = Answers()
    # The loop gives the model a plan's first words and the function's first line to continue.
    body = task.reference.split("\n", 1)[1]
    answers.model = ScriptedModel(["Round up.", *[body + "```\n"] * 3])
    made = attempt(benchmark, task, answers, judge)
    assert made.solution.strip() == task.reference.strip()
    assert made.generations
    assert benchmark.score(task, made.solution, judge).ok


@pytest.mark.bend
@pytest.mark.skipif(toolchain.find("bend") is None, reason="bend is not installed (verify install bend)")
def test_bend_references_pass_and_wrong_ones_fail(judge: Judge) -> None:
    benchmark = open_benchmark("bend")
    for task in benchmark.tasks.values():
        assert benchmark.score(task, task.reference, judge).ok, task.id
    task = benchmark.tasks["bend/list_sum"]
    wrong = task.reference.replace("return 0", "return 1")
    scored = benchmark.score(task, wrong, judge)
    assert not scored.ok
    assert not scored.infra
    assert not benchmark.score(task, "def list_sum(xs):\n    return sum(xs)\n", judge).ok

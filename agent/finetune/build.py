"""Packages and folders in; tasks with tests, and a data card, out: `agent tasks build`.

Every function whose docstring holds examples is tried; each reason to leave one out is counted. What stays
has passed its own examples twice in the sandbox (no network, no files, two seeds), fails them when its body
is empty, and overlaps no benchmark. Deterministic in the sources.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.errors import TaskError
from agent.finetune import examples
from agent.finetune.standalone import Pieces, Source
from agent.finetune.tasks import DoctestTask, case_row, write_tasks
from model.data.decontaminate import Decontaminator, humaneval, read_benchmark
from model.data.dedup import Deduplicator
from model.data.packages import Package, open_package
from verify.checker import Checker
from verify.verdict import Verdict

MIN_CASES = 2
HIDE_FROM = 3  # with so many examples the last one is held back from the stub
MAX_STUB, MAX_CODE = 2400, 3000  # characters
HELD_OUT_SHARE = 4  # without a list: about one unit in so many


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """held_out: units (package names, or name/subpackage of a folder) kept for evaluation; empty: about a
    quarter, by the hash of the name. benchmarks: JSON-lines files to keep out, beside HumanEval.
    per_unit: tasks of one unit at most."""

    held_out: tuple[str, ...] = ()
    benchmarks: tuple[Path, ...] = ()
    folder_licence: str = ""
    per_unit: int = 400


@dataclass(slots=True)
class Report:
    """kept by unit, dropped by reason, and where it all came from."""

    units: dict[str, tuple[Package, str, int]] = field(default_factory=dict)
    refused: list[Package] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    tasks: list[DoctestTask] = field(default_factory=list)

    def count(self, split: str) -> int:
        return sum(task.split == split for task in self.tasks)


Progress = Callable[[str, int], None]


def build(
    sources: Iterable[Path],
    out: Path,
    config: BuildConfig,
    checker: Checker,
    progress: Progress = lambda name, count: None,
) -> Report:
    """Write `tasks.jsonl` and `card.md` into `out`. Raises TaskError when nothing is usable: then nothing is
    written."""
    report = Report()
    clean, names = _benchmarks(config.benchmarks)
    unique = Deduplicator()
    for path in sorted(sources):
        package, modules = open_package(path, config.folder_licence)
        if not package.licence:
            report.refused.append(package)
            continue
        found: dict[str, list[DoctestTask]] = {}
        for module in modules:
            unit = _unit(package, module.path, path.is_dir())
            if unit is not None:
                found.setdefault(unit, []).extend(
                    _candidates(module.path, module.source, unit, package, report)
                )
        for unit, candidates in sorted(found.items()):
            split = "held-out" if _held_out(unit, config.held_out) else "train"
            fresh = [t for t in candidates if _wanted(t, clean, names, unique, report.dropped)]
            kept = [replace(t, split=split) for t in _validated(fresh, checker, report.dropped)]
            report.dropped["over the unit's share"] += max(0, len(kept) - config.per_unit)
            kept = kept[: config.per_unit]
            report.tasks += kept
            if kept:
                report.units[unit] = (package, split, len(kept))
            progress(unit, len(report.tasks))
    if not report.tasks:
        raise TaskError(
            "no usable task: the sources must hold functions with examples (>>>) under a permissive licence"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_tasks(out / "tasks.jsonl", report.tasks)
    (out / "card.md").write_text(card(report), "utf-8")
    return report


def _benchmarks(paths: tuple[Path, ...]) -> tuple[Decontaminator, frozenset[str]]:
    """What to keep out: texts and programs, and the names of the functions they ask for."""
    texts, programs = humaneval()
    for path in paths:
        more = read_benchmark(path)
        texts, programs = texts + more[0], programs + more[1]
    names = frozenset(name for text in programs for name in re.findall(r"^def (\w+)", text, re.MULTILINE))
    return Decontaminator(texts, programs), names


def _unit(package: Package, path: str, folder: bool) -> str | None:
    """What is split by: the package; in a folder of many, its first level."""
    parts = path.split("/")
    return f"{package.name}/{parts[0]}" if folder and len(parts) > 1 else package.name


def _held_out(unit: str, listed: tuple[str, ...]) -> bool:
    if listed:
        return unit.lower() in {name.lower() for name in listed}
    return hashlib.sha256(unit.lower().encode()).digest()[0] % HELD_OUT_SHARE == 0


def _candidates(path: str, text: str, unit: str, package: Package, report: Report) -> Iterator[DoctestTask]:
    try:
        source = Source(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for function in source.functions():
        doc = inspect.cleandoc(ast.get_docstring(function) or "")
        found = examples.read(doc, function.name)
        if len(found) < MIN_CASES:
            report.dropped["fewer than two usable examples"] += 1
        elif (pieces := source.pieces(function)) is None:
            report.dropped["needs more than the standard library"] += 1
        elif (stub := _stub(pieces, doc, found)) is None or len(pieces.code) > MAX_CODE:
            report.dropped["too long, or an odd docstring"] += 1
        else:
            cases = tuple(example.case for example in found)
            try:
                for case in cases:
                    case_row(case)
            except ValueError:
                report.dropped["values without a JSON form"] += 1
                continue
            yield DoctestTask(
                id=f"{unit}/{function.name}",
                unit=unit,
                package=package.name,
                version=package.version,
                licence=package.licence,
                path=f"{path}:{function.lineno}",
                entry=function.name,
                stub=stub,
                solution=pieces.program,
                cases=cases,
                hidden=int(len(cases) >= HIDE_FROM),
            )


def _stub(pieces: Pieces, doc: str, found: list[examples.Example]) -> str | None:
    """Prelude, signature and docstring, the last example taken out where there are enough of them."""
    if '"""' in doc or "\\" in doc:
        return None
    lines = doc.splitlines()
    if len(found) >= HIDE_FROM:
        del lines[found[-1].first : found[-1].last]
    shown = "\n".join(lines).rstrip()
    quoted = textwrap.indent(f'"""{shown}\n"""\n', "    ")
    stub = f"{pieces.prelude}{pieces.head}\n{quoted}"
    try:
        ast.parse(stub)
    except SyntaxError:
        return None
    return stub if len(stub) <= MAX_STUB and "```" not in stub else None


def _wanted(
    task: DoctestTask,
    clean: Decontaminator,
    names: frozenset[str],
    unique: Deduplicator,
    dropped: Counter[str],
) -> bool:
    if reason := clean.reason(task.stub + "\n" + task.solution, task.solution):
        dropped[f"benchmark ({reason})"] += 1
    elif task.entry in names:
        dropped["benchmark (name of the function)"] += 1
    elif unique.seen(task.solution):
        dropped["near duplicate"] += 1
    else:
        return True
    return False


def _validated(tasks: list[DoctestTask], checker: Checker, dropped: Counter[str]) -> Iterator[DoctestTask]:
    """Those whose own solution passes twice and whose stub alone does not."""
    first = list(checker.check_many([t.check(t.solution, seed=0) for t in tasks]))
    again = list(checker.check_many([t.check(t.solution, seed=1) for t in tasks]))
    empty = list(checker.check_many([t.check(t.stub, seed=0) for t in tasks]))
    ids: Counter[str] = Counter()
    for task, *verdicts in zip(tasks, first, again, empty, strict=True):
        if reason := _objection(*verdicts):
            dropped[reason] += 1
            continue
        ids[task.id] += 1
        yield task if ids[task.id] == 1 else replace(task, id=f"{task.id}.{ids[task.id]}")


def _objection(first: Verdict, again: Verdict, empty: Verdict) -> str:
    for verdict in (first, again, empty):
        if not verdict.rewardable:
            raise TaskError(f"the sandbox cannot judge tasks here: {verdict.detail or verdict.status}")
    if not first.ok:
        return f"own examples: {first.status}"
    if not again.ok:
        return "own examples: not the same twice"
    return "an empty body passes" if empty.ok else ""


def card(report: Report) -> str:
    """The data card."""
    licences = Counter(task.licence for task in report.tasks)
    lines = [
        "# Data card: tasks from docstring examples",
        "",
        f"{report.count('train')} tasks to train on, {report.count('held-out')} held out, split by package.",
        "Each is one function with the examples of its docstring as tests, and its own solution passed them",
        "twice in the sandbox. Functions that overlap HumanEval, or a benchmark named with --against, by",
        "10-grams, syntax tree or name are left out. No solution is trained on: answers are the model's own.",
        "",
        "| left out because | functions |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in report.dropped.most_common() if count),
        "",
        "| licence | tasks |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in licences.most_common()),
        "",
        "| unit | version | licence (as stated) | split | tasks |",
        "|---|---|---|---|---|",
        *(
            f"| {unit} | {p.version} | {p.licence} ({p.stated}) | {split} | {count} |"
            for unit, (p, split, count) in report.units.items()
        ),
    ]
    if report.refused:
        names = ", ".join(f"{p.name} {p.version} ({p.stated or 'no licence stated'})" for p in report.refused)
        lines += ["", f"Refused for their licence: {names}."]
    return "\n".join(lines) + "\n"

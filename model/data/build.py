"""Packages and folders in, prompts and a data card out: `model data build`.

Every function of every permissively licensed source is posed once, unless a filter drops it; the card
counts what each filter took. Deterministic in the configuration's seed and the sources.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.data.card import write_card
from model.data.decontaminate import Decontaminator, humaneval, read_benchmark
from model.data.dedup import Deduplicator
from model.data.functions import Function, functions
from model.data.packages import DataError, Package, open_package
from model.data.prompts import Prompt, poses
from model.wholefile import beside

MAX_ABOVE = 900  # characters of code shown above a function


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """held_out: package names whose prompts go to the held-out file. per_package: at most so many functions
    of one package, so that no package sets the tone. benchmarks: JSON-lines files to keep out, beside
    HumanEval. forms: different prompts made of each function."""

    seed: int = 1
    forms: int = 1
    per_package: int = 1500
    held_out: tuple[str, ...] = ()
    benchmarks: tuple[Path, ...] = ()
    folder_licence: str = ""


@dataclass(slots=True)
class Report:
    """kept and dropped by reason; packages with the number of prompts each gave."""

    packages: list[tuple[Package, int]] = field(default_factory=list)
    refused: list[Package] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    train: int = 0
    held_out: int = 0


Progress = Callable[[str, int], None]


def build(
    sources: Iterable[Path], out: Path, config: BuildConfig, progress: Progress = lambda name, count: None
) -> Report:
    """Write `train.jsonl.gz`, `held-out.jsonl.gz` and `card.md` into `out`.

    Raises DataError when nothing usable is found; nothing is written then.
    """
    texts, programs = humaneval()
    for path in config.benchmarks:
        more = read_benchmark(path)
        texts, programs = texts + more[0], programs + more[1]
    clean = Decontaminator(texts, programs)
    unique = Deduplicator()
    report = Report()
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "held-out": []}
    for path in sorted(sources):
        package, modules = open_package(path, config.folder_licence)
        if not package.licence:
            report.refused.append(package)
            continue
        found = [(m.path, f) for m in modules for f in functions(m.source)]
        rng = random.Random(f"{config.seed}/{package.name}")
        rng.shuffle(found)
        split = "held-out" if package.name.lower() in config.held_out else "train"
        kept = list(_keep(found, config.per_package, clean, unique, report.dropped))
        above = _above(kept)
        made = 0
        for module, function in kept:
            before = above.get((module, function.line), "")
            for prompt in poses(function, rng, config.forms, module=module, before=before):
                rows[split].append(_row(package, module, function, prompt))
                report.forms[prompt.form] += 1
                made += 1
        report.packages.append((package, made))
        progress(package.name, made)
    report.train, report.held_out = len(rows["train"]), len(rows["held-out"])
    if not report.train:
        raise DataError(
            "no usable function: the sources must hold documented Python under a permissive licence"
        )
    out.mkdir(parents=True, exist_ok=True)
    for split, items in rows.items():
        random.Random(config.seed).shuffle(items)
        write_rows(out / f"{split}.jsonl.gz", items)
    write_card(out, config.seed, report)
    return report


def _keep(
    found: list[tuple[str, Function]],
    limit: int,
    clean: Decontaminator,
    unique: Deduplicator,
    dropped: Counter[str],
) -> Iterator[tuple[str, Function]]:
    count = 0
    for module, function in found:
        if count == limit:
            dropped["over the package's share"] += 1
        elif reason := clean.reason(function.prompt + "\n" + function.code, function.code):
            dropped[f"benchmark ({reason})"] += 1
        elif unique.seen(function.code):
            dropped["near duplicate"] += 1
        else:
            count += 1
            yield module, function


def _above(kept: list[tuple[str, Function]]) -> dict[tuple[str, int], str]:
    """For each function, the documented function above it in its file, when it is short."""
    ordered = sorted(kept, key=lambda pair: (pair[0], pair[1].line))
    above = {}
    for (module, function), (before_module, before) in zip(ordered[1:], ordered, strict=False):
        if module == before_module and len(before.code) <= MAX_ABOVE:
            above[module, function.line] = before.code
    return above


def _row(package: Package, module: str, function: Function, prompt: Prompt) -> dict[str, Any]:
    row: dict[str, Any] = {"form": prompt.form, "package": package.name, "version": package.version}
    row |= {"licence": package.licence, "path": f"{module}:{function.line}", "name": function.name}
    if prompt.messages:
        row["messages"] = [{"role": role, "content": content} for role, content in prompt.messages]
    else:
        row["text"] = prompt.text
    return row


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with beside(path) as work, gzip.open(work, "wt", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Raises DataError naming the file and line."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(f"{path} line {number} is not JSON ({error.msg})") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error

"""Every hostile Bend program ends in a status that its header allows, on the worker and on the `bend`
command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import verify.abuse
from verify.bend import check_function
from verify.bend.check import Level
from verify.limits import Limits
from verify.request import Case, FunctionCheck

FILES = sorted((Path(next(iter(verify.abuse.__path__))) / "bend").glob("*.bend"))
DEFAULT = '[{"args": [1], "expected": 2}, {"args": [20], "expected": 21}]'


def header(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            break
        key, _, value = line[2:].partition(": ")
        found[key] = value
    return found


def test_there_are_enough() -> None:
    assert len(FILES) >= 15
    assert all({"why", "allow"} <= set(header(path.read_text("utf-8"))) for path in FILES)


@pytest.mark.bend
@pytest.mark.parametrize("level", ["worker", "run-rs"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_hostile_program(path: Path, level: Level) -> None:
    text = path.read_text("utf-8")
    fields = header(text)
    cases = tuple(
        Case(args=tuple(case["args"]), expected=case["expected"])
        for case in json.loads(fields.get("cases", DEFAULT))
    )
    limits = Limits(**json.loads(fields.get("limits", '{"wall_s": 3, "cpu_s": 2, "mem_mb": 256}')))
    request = FunctionCheck(code=text, entry="f", cases=cases, lang="bend", limits=limits)
    verdict = check_function(request, level=level)
    assert verdict.status in fields["allow"].split(), verdict
    assert verdict.passed == 0
    assert not Path("/tmp/ESCAPED").exists()

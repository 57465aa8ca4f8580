"""cases.json: what it means, and one clear line for each mistake."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from verify.cases import CasesError, parse_cases, parse_program_cases, read_cases


def test_special_values() -> None:
    entry = {
        "args": [
            {"$tuple": [1, {"$set": [2]}]},
            {"$bytes": "00ff"},
            {"$dict": [[1, "a"]]},
            {"$complex": [0, 1]},
        ],
        "expected": {"$frozenset": [1]},
    }
    (case,) = parse_cases([entry])
    assert case.args == ((1, {2}), b"\0\xff", {1: "a"}, 1j)
    assert case.expected == frozenset((1,))
    (nan,) = parse_cases([{"args": [], "expected": {"$float": "nan"}}])
    assert math.isnan(nan.expected)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "a list of cases is wanted"),
        ([], "no cases"),
        ([3], "case 0 is a"),
        ([{"args": [], "expected": 1}, {"arg": []}], "case 1: unknown key 'arg'"),
        ([{"args": 3, "expected": 1}], "args is a"),
        ([{"args": []}], "exactly one of expected, raises, oracle"),
        ([{"args": [], "expected": 1, "raises": "E"}], "exactly one of"),
        ([{"args": [], "expected": 1, "tolerance": -1}], "tolerance is -1"),
        ([{"args": [], "expected": 1, "tolerance": True}], "tolerance is True"),
        ([{"args": [], "expected": 1, "compare": "same"}], "compare is 'same'"),
        ([{"args": [], "expected": 1, "compare": "oracle"}], "belong together"),
        ([{"args": [{"$tupel": []}], "expected": 1}], "'$tupel' is none of"),
        ([{"args": [{"$bytes": "zz"}], "expected": 1}], "cannot be read"),
        ([{"args": [{"$set": [[]]}], "expected": 1}], "cannot be read"),
    ],
)
def test_mistakes(entries: Any, words: str) -> None:
    with pytest.raises(CasesError) as caught:
        parse_cases(entries, "c.json")
    assert words in str(caught.value)
    assert str(caught.value).startswith("c.json")
    assert "\n" not in str(caught.value)


def test_program_cases_must_test_something() -> None:
    with pytest.raises(CasesError, match="tests nothing"):
        parse_program_cases([{"stdin": "a"}])


@pytest.mark.parametrize("data", [b"\xff\xfe", b"{", b"[" * 100_000])
def test_files_that_are_not_json(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(data)
    with pytest.raises(CasesError) as caught:
        read_cases(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CasesError, match=r"nowhere\.json"):
        read_cases(tmp_path / "nowhere.json")


def test_a_file_reads(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps([{"args": [1], "kwargs": {"b": 2}, "raises": "ValueError", "id": "one"}]))
    (case,) = read_cases(path)
    assert (case.args, case.kwargs, case.raises, case.id) == ((1,), {"b": 2}, "ValueError", "one")

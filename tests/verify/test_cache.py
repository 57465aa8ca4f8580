"""The verdict cache: same content, same verdict; only deterministic statuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from verify.cache import Cache, key_of
from verify.checker import open_checker
from verify.limits import Limits
from verify.request import Case, FunctionCheck
from verify.verdict import Status, Verdict

CHECK = FunctionCheck("def f(x):\n    return x", "f", (Case((1,), expected=1),))


def test_keys_depend_on_everything_that_decides() -> None:
    others = [
        dataclasses.replace(CHECK, code="def f(x):\n    return 1"),
        dataclasses.replace(CHECK, seed=1),
        dataclasses.replace(CHECK, limits=Limits(wall_s=1)),
        dataclasses.replace(CHECK, cases=(Case((1,), expected=True),)),
        dataclasses.replace(CHECK, cases=(Case((1,), expected=1.0),)),
    ]
    keys = {key_of(check, "b", "1") for check in (CHECK, *others)}
    keys |= {key_of(CHECK, "b", "2"), key_of(CHECK, "c", "1")}
    assert len(keys) == len(others) + 3
    assert key_of(CHECK, "b", "1") == key_of(dataclasses.replace(CHECK), "b", "1")


def test_only_deterministic_verdicts_are_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for status in Status:
        cache.put(f"{status:0<64}", Verdict(status, per_case=(True, None)))
        kept = cache.get(f"{status:0<64}")
        assert (kept is not None) == (status.value in _KEPT)
    assert kept is None or kept.per_case == (True, None)


_KEPT = {"passed", "failed", "compile_error", "type_error", "runtime_error", "fuel", "bad_output"}


def test_a_damaged_entry_is_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("ab" * 32, Verdict(Status.PASSED))
    (entry,) = tmp_path.glob("*/*.json")
    entry.write_text('{"status": "pass')
    assert cache.get("ab" * 32) is None


def test_the_second_check_is_cached(tmp_path: Path) -> None:
    with open_checker("bubblewrap", jobs=1, cache=tmp_path) as checker:
        first, second = checker.check(CHECK), checker.check(CHECK)
    assert (first.ok, first.cached, second.ok, second.cached) == (True, False, True, True)
    assert first.key == second.key

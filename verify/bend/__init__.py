"""Bend programs, checked on HVM.

    from verify.bend import check_function
    verdict = check_function(FunctionCheck(code=..., entry="f", cases=(...), lang="bend"))

Levels, best first: a persistent worker (`verify/bend_worker`, milliseconds a check, fuel counted in
interactions), `bend run-rs` (about 50 ms), and `run-c`/`run-cu` for property batches of the harness only.
`docs/verify-bend.md` has the whole picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from verify.bend.doctor import Row
    from verify.bend.property import PropertyCheck
    from verify.request import FunctionCheck
    from verify.verdict import Verdict

__all__ = ["check_function", "check_property", "close", "probe"]


def check_function(request: FunctionCheck, *, level: Literal["auto", "worker", "run-rs"] = "auto") -> Verdict:
    """Check function cases of a Bend candidate; see `verify.bend.check.check_function`."""
    from verify.bend import check

    return check.check_function(request, level=level)


def check_property(
    request: PropertyCheck, *, level: Literal["auto", "worker", "run-rs", "run-c", "run-cu"] = "auto"
) -> Verdict:
    """Check a property of a Bend candidate on 2^k generated inputs; see `verify.bend.property`."""
    from verify.bend.property import check_property

    return check_property(request, level=level)


def probe() -> list[Row]:
    """What works here and what does not, for `verify doctor`; see `verify.bend.doctor.probe`."""
    from verify.bend import doctor

    return doctor.probe()


def close() -> None:
    """Stop the workers. Safe to call at any time; the next check starts new ones."""
    import sys

    module = sys.modules.get("verify.bend.worker")
    if module is not None:
        module.close()

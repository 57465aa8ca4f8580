"""Which Bend backends work here: each one has to compute 42, a version alone proves nothing."""

from __future__ import annotations

from typing import NamedTuple

from verify.bend import cli
from verify.bend.harness import Program
from verify.bend.toolchain import INSTALL, Unavailable, toolchain, worker
from verify.bend.types import U24
from verify.limits import Limits
from verify.verdict import Status

_FIXTURE = "def main() -> u24:\n  return 6 * 7\n"
_LIMITS = Limits(wall_s=5.0, cpu_s=5.0)
_GPU_LIMITS = Limits(wall_s=20.0, cpu_s=20.0, mem_mb=16_384)


class Row(NamedTuple):
    """One line of `verify doctor`. `remedy` is empty when it works."""

    backend: str
    works: bool
    why: str
    remedy: str


def probe() -> list[Row]:
    """Rows for the worker, `run-rs`, `run-c` and `run-cu`, in the order in which they are preferred."""
    return [_worker(), _level("run-rs", _LIMITS), _level("run-c", _LIMITS), _level("run-cu", _GPU_LIMITS)]


def _worker() -> Row:
    from verify.bend import worker as pool

    name = "bend worker"
    try:
        path = worker()
        run = pool.pool().run(Program(_FIXTURE, U24, chunked=False), _LIMITS)
    except Unavailable as error:
        return Row(name, False, error.why, error.remedy)
    if run.status is Status.PASSED and run.result == "42":
        return Row(name, True, f"{run.version}, {run.isolation}: 6 * 7 = 42", "")
    return Row(name, False, f"{path}: {run.status}: {run.detail}", f"rebuild it: `{INSTALL} --force`")


def _level(level: cli.Level, limits: Limits) -> Row:
    name = f"bend {level}"
    try:
        tools = toolchain()
        if level == "run-cu":
            cli.require_gpu()
    except Unavailable as error:
        return Row(name, False, error.why, error.remedy)
    run = cli.run(_FIXTURE, limits, level=level)
    if run.status is Status.PASSED and run.result == "42":
        return Row(name, True, f"{tools.version}, {run.isolation}: 6 * 7 = 42", "")
    remedy = (
        "run `verify doctor` for the sandbox rows"
        if run.status is Status.UNAVAILABLE
        else f"run `{INSTALL} --force`"
    )
    if level == "run-cu":
        remedy = f"build HVM with nvcc on PATH: `{INSTALL} --gpu --force`"
    return Row(name, False, f"{run.status}: {run.detail or run.result}", remedy)

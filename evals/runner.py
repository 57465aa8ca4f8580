"""Call a candidate on many inputs in a sandbox: the outside half of `evals.inside.runner`."""

from __future__ import annotations

import hashlib
import inspect
import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

import verify.codec
from evals.oracles import View
from verify.limits import Limits
from verify.verdict import NEVER_A_REWARD, Status

if TYPE_CHECKING:
    from evals.judge import Judge

# Seconds a call: evalplus 0.3.1's rule, max(1 s, 4 x the reference's), but in CPU time: its wall time shrinks
# under load. The runner times calls from 0.25 s on, so where nothing is known of a call 1 s is the larger.
MIN_LIMIT_S = 1.0
LIMIT_FACTOR = 4.0
MEM_MB = 4096
NO_PAUSE = 1e6
SLOW_LOAD = "took longer than its time limit before anything was called"


@dataclass(frozen=True)
class Inputs:
    """Arguments for each call of `entry`. What JSON cannot hold (tuples, sets, complex) needs `coded`."""

    entry: str
    args: Sequence[Sequence[Any]]
    view: View = "value"
    coded: bool = False

    def __len__(self) -> int:
        return len(self.args)

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self.args).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class InputRun:
    """lines: the runner's line for each input reached, in order. loaded: the code ran and defines the entry
    point.

    status: how the process ended (PASSED: by itself). paused: it stopped because `pause_s` was over. slow:
    CPU seconds of the calls that took long, only known when every input was reached.
    """

    lines: tuple[str, ...]
    loaded: bool
    status: Status
    detail: str
    wall_s: float
    slow: dict[int, float]
    paused: bool = False

    @property
    def infra(self) -> bool:
        return self.status in NEVER_A_REWARD


@cache
def runner_source() -> str:
    """The text of the program that runs inside."""
    return resources.files("evals.inside").joinpath("runner.py").read_text(encoding="utf-8")


class InputRunner:
    """Runs candidates through `judge.execute`. Thread-safe as the judge is."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._codec = inspect.getsource(verify.codec)

    def run(
        self,
        code: str,
        inputs: Inputs,
        *,
        wanted: Sequence[int] | None = None,
        full: bool = False,
        limit_s: float | None = None,
        slow: Mapping[int, float] | None = None,
        pause_s: float = NO_PAUSE,
    ) -> InputRun:
        """Call the candidate on `wanted` inputs (default all).

        limit_s: CPU seconds a call, default `MIN_LIMIT_S`. slow: the reference's seconds on inputs where it
        takes long; these get `LIMIT_FACTOR` times as much (EvalPlus's rule). pause_s: begin no further call
        after so many CPU seconds in all.
        """
        indices = list(range(len(inputs))) if wanted is None else list(wanted)
        args = [inputs.args[i] for i in indices]
        job: dict[str, Any] = {
            "code": code,
            "entry": inputs.entry,
            "mode": "full" if full else "digest",
            "view": inputs.view,
            "limit_s": limit_s or MIN_LIMIT_S,
            "pause_s": pause_s,
        }
        known = slow or {}
        job["longer"] = {
            position: max(job["limit_s"], LIMIT_FACTOR * known[index])
            for position, index in enumerate(indices)
            if index in known
        }
        if inputs.coded:
            job["coded"] = verify.codec.encode([list(a) for a in args])
        else:
            job["inputs"] = [list(a) for a in args]
        if inputs.coded or full:
            job["codec"] = self._codec
        budget = job["limit_s"] + 30.0 + LIMIT_FACTOR * sum(known.values())
        limits = Limits(
            wall_s=4 * budget,
            cpu_s=budget,
            mem_mb=MEM_MB,
            out_bytes=64 << 20,
            processes=32,
            code_bytes=1 << 20,
        )
        done = self._judge.execute(runner_source(), marshal.dumps(job, 2), limits)
        text = done.stdout.decode("utf-8", "replace").split("\n")
        head, body = text[0], text[1:]
        # The last piece after the final newline is empty, or a line torn by a kill.
        lines = tuple(line for line in body[:-1][: len(indices)] if line)
        detail = head[1:] if head.startswith("#") else SLOW_LOAD if head == "T" else done.detail
        last = body[len(indices)] if len(body) > len(indices) else ""
        paused = lines[-1:] == ("P",)
        lines = lines[:-1] if paused else lines
        return InputRun(lines, head == "+", done.status, detail, done.wall_ms / 1000, _slow(last), paused)


def _slow(line: str) -> dict[int, float]:
    """Of the last line; a candidate can write there too, so anything may come."""
    try:
        pairs = [item.split("=", 1) for item in line.removeprefix(".").split(",") if item]
        return {int(index): float(seconds) for index, seconds in pairs}
    except ValueError:
        return {}

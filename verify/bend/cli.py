"""Runs a program with the `bend` command: one private folder, one box and one process group a run.

Two `bend` in one folder share `./.out.hvm` and print each other's results with exit code 0, so a folder is
never shared. `run-rs` is the level for candidates: it has no IO. `run-c` and `run-cu` have all of it
(files, dlopen) and are only for property batches of the harness, inside the box.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from verify.bend import box, process
from verify.bend.run import Run, compile_status, plain
from verify.bend.toolchain import Toolchain, Unavailable, toolchain
from verify.limits import Limits
from verify.verdict import Status

Level = Literal["run-rs", "run-c", "run-cu"]

_RESULT = re.compile(
    r"\A(?:OOM\n)*Result: (?P<result>[^\n]*)\n- ITRS: (?P<itrs>[0-9]+)\n"
    r"(?:- LEAK: [0-9]+\n)?"  # run-cu alone prints it: nodes left over on the GPU
    r"- TIME: (?P<time>[0-9.]+)s\n- MIPS: (?P<mips>[0-9.a-zA-Z]+)\s*\Z"
)
_CLONE = "ERROR: attempt to clone a non-affine global reference."
_NO_RESULT = "HVM output had no result"
_STOPPED = {
    "wall": (Status.TIMEOUT, "wall time limit"),
    "cpu": (Status.TIMEOUT, "CPU time limit"),
    "memory": (Status.OOM, "memory limit"),
    "output": (Status.OUTPUT_LIMIT, "output limit"),
}


def run(source: str, limits: Limits, *, level: Level = "run-rs", boxed: bool | None = None) -> Run:
    """Compile and run `source`, never raising for what the program does.

    boxed: None uses bubblewrap when it works, True demands it, False does without (tests).
    """
    try:
        tools = toolchain()
        if level == "run-cu":
            require_gpu()
    except Unavailable as error:
        return Run(Status.UNAVAILABLE, detail=str(error), backend=level)
    with tempfile.TemporaryDirectory(prefix="trihead-bend-") as folder:
        program = Path(folder, "program.bend")
        program.write_text(source, encoding="utf-8")
        command, env, isolation = _command(tools, program, level, limits, boxed)
        if level != "run-rs" and isolation != "bubblewrap":
            return Run(
                Status.UNAVAILABLE,
                detail=f"{level} executes IO and only runs inside bubblewrap, which does not work here; "
                "see `verify doctor`",
                backend=level,
            )
        try:
            outcome = process.run(
                command,
                cwd=Path(folder),
                env=env,
                wall_s=limits.wall_s,
                cpu_s=limits.cpu_s if level == "run-rs" else limits.cpu_s * (os.cpu_count() or 1),
                mem_mb=limits.mem_mb,
                out_bytes=limits.out_bytes,
            )
        except OSError as error:
            return Run(
                Status.INTERNAL_ERROR, detail=f"could not start {command[0]}: {error.strerror}", backend=level
            )
    return _report(outcome, level, tools, isolation, limits)


def _eval_ms(interactions: int, mips: str, seconds: str) -> float:
    """HVM prints its time in steps of 10 ms, which is coarse for a GPU; its rate is of the unrounded time."""
    try:
        rate = float(mips)
    except ValueError:
        rate = 0.0
    if math.isfinite(rate) and rate > 0:
        return interactions / rate / 1000
    return float(seconds) * 1000


def require_gpu() -> None:
    """Raise Unavailable without a GPU: a CUDA build of `hvm run-cu` hangs for ever then, so it is never
    spawned."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=10, check=False)
        listed = done.returncode == 0 and b"GPU " in done.stdout
    except (OSError, subprocess.TimeoutExpired):
        listed = False
    if not listed:
        raise Unavailable("no NVIDIA GPU (`nvidia-smi -L` lists none)", "run on a machine with one")


def _command(
    tools: Toolchain, program: Path, level: Level, limits: Limits, boxed: bool | None
) -> tuple[list[str], dict[str, str], str]:
    flags = [level, "-s", "-D", "recursion-cycle"]
    if boxed is not False:
        inside = {str(tools.bend): "/bend/bend", str(tools.hvm): "/bend/hvm", str(program): "/program.bend"}
        env = {"PATH": "/bend", "HVM_BIN": "/bend/hvm", "HOME": box.SCRATCH, "RUST_BACKTRACE": "0"}
        argv = ["/bend/bend", *flags, "/program.bend"]
        scratch = max(limits.disk_mb, 16)
        if level == "run-cu":
            env["CUDA_CACHE_PATH"] = box.SCRATCH
            if libraries := os.environ.get("LD_LIBRARY_PATH"):
                # Where the driver's libcuda lies on many machines.
                env["LD_LIBRARY_PATH"] = libraries
        command = box.wrap(
            argv, read_only=inside, env=env, scratch_mb=scratch, proc=True, gpu=level == "run-cu"
        )
        if command is not None:
            return command, {}, "bubblewrap"
    env = {
        "PATH": str(tools.bend.parent),
        "HVM_BIN": str(tools.hvm),
        "HOME": str(program.parent),
        "RUST_BACKTRACE": "0",
    }
    return [str(tools.bend), *flags, program.name], env, "process"


def _report(outcome: process.Outcome, level: Level, tools: Toolchain, isolation: str, limits: Limits) -> Run:
    stdout = outcome.stdout.decode("utf-8", "replace")
    stderr = plain(outcome.stderr.decode("utf-8", "replace"))

    def make(
        status: Status, detail: str, result: str = "", eval_ms: float | None = None, itrs: int | None = None
    ) -> Run:
        return Run(
            status=status,
            result=result,
            detail=detail,
            backend=level,
            version=tools.version,
            isolation=isolation,
            wall_ms=outcome.wall_ms,
            eval_ms=eval_ms,
            interactions=itrs,
            max_rss_kb=outcome.max_rss_kb,
            stderr=stderr,
        )

    if outcome.stopped:
        status, what = _STOPPED[outcome.stopped]
        return make(status, f"{what} reached after {outcome.wall_ms:.0f} ms")
    if _CLONE in stdout:
        return make(Status.RUNTIME_ERROR, "a function that duplicates its argument was itself duplicated")
    if outcome.returncode == 0:
        found = _RESULT.match(stdout)
        if found is None:
            return make(Status.BAD_OUTPUT, "the output is not one result and its statistics")
        interactions = int(found["itrs"])
        eval_ms = _eval_ms(interactions, found["mips"], found["time"])
        if interactions > limits.fuel:
            return make(
                Status.FUEL, f"{interactions} interactions, limit {limits.fuel}", "", eval_ms, interactions
            )
        return make(Status.PASSED, "", found["result"], eval_ms, interactions)
    message = stderr.split("Errors:\n", 1)[-1].strip()
    if message.startswith("Failed to start hvm process"):
        return make(Status.UNAVAILABLE, f"hvm could not be started; run `{tools.hvm} --version`")
    if message.startswith(_NO_RESULT):
        why = next((line for line in stderr.splitlines() if line.startswith("attempt to ")), "")
        return make(Status.RUNTIME_ERROR, f"the program ended without a result{': ' + why if why else ''}")
    if outcome.returncode != 1:
        return make(Status.COMPILE_ERROR, f"the compiler died with exit code {outcome.returncode}")
    return make(compile_status(message), message or "bend failed without a message")

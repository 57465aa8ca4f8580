"""Run stock evalplus on the same samples, safely, and explain every difference.

evalplus 0.3.1 runs samples in its own interpreter with the network and the disk open, hangs on some inputs
and reuses an old result file silently. Here it runs in bubblewrap (no network, the disk read-only but for its
own folder), with stdin closed, a fresh file name, `--min-time-limit 4` and a hard time limit on the whole
process group.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.benchmarks.evalplus import EvalPlusBenchmark
from evals.errors import DataError, InfrastructureError
from evals.home import evals_home
from evals.rundir import RunFolder
from evals.sample import Sample, scored_from_row

KNOWN = {
    "HumanEval/32": "known bug of evalplus 0.3.1: its find_zero oracle never sets a result: nobody passes",
}
MEMORY_NOTE = "evalplus limits memory to 4 GiB including its own; set EVALPLUS_MAX_MEMORY_BYTES"


@dataclass(frozen=True, slots=True)
class Official:
    """What evalplus said: statuses by (task, sample) as (base, plus), its seconds, its own output."""

    statuses: dict[tuple[str, int], tuple[str, str]]
    wall_s: float
    output: str


def run_evalplus(
    benchmark: EvalPlusBenchmark, samples: list[Sample], *, parallel: int, limit_s: float
) -> Official:
    """Raises InfrastructureError when evalplus cannot be run or does not end."""
    cache = evals_home() / "evalplus-cache"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="check-evalplus-") as name:
        folder = Path(name)
        file = folder / "samples.jsonl"
        given = {sample.task_id for sample in samples}
        # evalplus asserts that every task has a sample; the added ones are not looked at.
        rows = [{"task_id": s.task_id, "solution": s.solution} for s in samples]
        rows += [{"task_id": task_id, "solution": ""} for task_id in benchmark.tasks if task_id not in given]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        output, wall = _run(benchmark, folder, file, cache, parallel, limit_s)
        results = folder / "samples_eval_results.json"
        if not results.is_file():
            raise InfrastructureError(f"evalplus left no result: {_last_line(output)}")
        evaluated = json.loads(results.read_text())["eval"]
    statuses = {
        (task_id, index): (str(row["base_status"]), str(row["plus_status"]))
        for task_id, found in evaluated.items()
        if task_id in given
        for index, row in enumerate(found)
    }
    return Official(statuses, wall, output)


def _run(
    benchmark: EvalPlusBenchmark, folder: Path, file: Path, cache: Path, parallel: int, limit_s: float
) -> tuple[str, float]:
    import time

    from verify.bubblewrap import find
    from verify.sandbox import SandboxError

    try:
        bwrap = find()
    except SandboxError as error:
        raise InfrastructureError(str(error)) from None
    line = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    line += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    line += ["--bind", str(folder), str(folder), "--bind", str(cache), str(cache), "--chdir", str(folder)]
    data = str(benchmark.path.resolve())
    for path in (data, sys.prefix, sys.base_prefix):
        if path.startswith("/tmp/"):  # the private /tmp would hide it
            line += ["--ro-bind", path, path]
    line += [
        sys.executable,
        "-m",
        "evalplus.evaluate",
        "--dataset",
        benchmark.dataset,
        "--samples",
        str(file),
    ]
    line += ["--parallel", str(parallel), "--min-time-limit", "4"]
    variable = "MBPP_OVERRIDE_PATH" if benchmark.dataset == "mbpp" else "HUMANEVAL_OVERRIDE_PATH"
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        variable: data,
    }
    if "EVALPLUS_MAX_MEMORY_BYTES" in os.environ:
        environment["EVALPLUS_MAX_MEMORY_BYTES"] = os.environ["EVALPLUS_MAX_MEMORY_BYTES"]
    started = time.perf_counter()
    process = subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"evalplus did not end within {limit_s:.0f} s; raise --time-limit"
        ) from None
    finally:
        # The group also holds what evalplus leaves behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return output.decode("utf-8", "replace"), time.perf_counter() - started


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


def differences(folder: RunFolder, official: Official, has_plus: bool) -> list[dict[str, Any]]:
    """Each sample on which the two disagree about base or plus, with the likeliest reason."""
    rows = []
    verdicts: Mapping[tuple[str, int], dict[str, Any]] = folder.verdicts()
    for key, (base, plus) in official.statuses.items():
        if key not in verdicts:
            raise DataError(f"{key[0]} sample {key[1]} has no verdict of ours; go on with --resume first")
        scored = scored_from_row(verdicts[key])
        for group, ours, theirs in (
            ("base", scored.base, base),
            ("plus", scored.plus, plus if has_plus else None),
        ):
            if ours is None or theirs is None or ours.ok == (theirs == "pass"):
                continue
            rows.append(
                {
                    "task_id": key[0],
                    "sample": key[1],
                    "group": group,
                    "ours": str(ours.status),
                    "evalplus": theirs,
                    "reason": _reason(key[0], str(ours.status), theirs, ours.detail),
                    "known": key[0] in KNOWN,
                }
            )
    return rows


def _reason(task_id: str, ours: str, theirs: str, detail: str) -> str:
    if task_id in KNOWN:
        return KNOWN[task_id]
    if theirs == "timeout":
        return f"evalplus ran into its time or memory limit ({MEMORY_NOTE})"
    if ours == "timeout":
        return f"ours ran into its time limit: {detail}"
    if ours == "passed":
        return "evalplus failed what passes here: its time limit, its guarded builtins, or its memory limit"
    return f"ours: {detail}"

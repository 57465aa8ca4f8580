"""Decoders side by side, end to end: the same tasks, one answer at a time, in turn; judged afterwards.

    contenders = open_contenders(benchmark, base, names, out)
    generate(benchmark, contenders, resume=True)
    rows = [*judge(benchmark, contenders)]

Each decoder and temperature has a run folder, so a killed bench loses nothing that was measured, and `evals
show|compare|curve` read the results. The order of the decoders turns with each task, so that what a machine
does beside falls on all alike; ratios are taken task by task.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

from agent.stats import spread
from evals.benchmark import Benchmark, Task, select
from evals.errors import ModelFailureError, UsageError
from evals.from_model import FromModel, Models, OnStep, Warn
from evals.judge import Judge
from evals.run import Listener, Silent, evaluate, make_config
from evals.rundir import SAMPLES, TIMING, RunFolder, RunWriter
from evals.settings import Settings
from model.request import Decode
from model.wholefile import write_whole

PEERS = ("transformers", "vllm")
ALL = ("ar", "verified", "diffusion", "lookup", *PEERS)
_WARM_TOKENS = 8


@runtime_checkable
class Forgetful(Protocol):
    """A model that keeps the last prompt's cache; the next decoder would not have to read it."""

    def forget(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """One decoder at one temperature, and the folder of its run."""

    name: str
    settings: Settings
    source: FromModel
    place: Path


def open_contenders(
    benchmark: Benchmark,
    base: Settings,
    names: Sequence[str],
    temperatures: Sequence[float],
    out: Path,
    *,
    warn: Warn,
    on_step: OnStep | None = None,
) -> list[Contender]:
    """Load what `names` say: our decoders, `transformers`, `vllm`; `all` is what can run here, and says what
    cannot. Raises UsageError for an unknown name, ModelFailureError for a named one that cannot run.
    """
    everything = tuple(names) == ("all",)
    known = (*(d for d in get_args(Decode) if d != "auto"), *PEERS)
    for name in () if everything else names:
        if name not in known:
            raise UsageError(f"--decoders: no decoder {name!r}; there are all, {', '.join(known)}")
    models: Models = {}
    found = []
    for name in ALL if everything else dict.fromkeys(names):
        opened = []
        try:
            for temperature in temperatures:
                settings = dataclasses.replace(_settings(base, name), temperature=temperature)
                source = FromModel(benchmark, settings, on_step, models, 1, _refuse)
                _load(name, settings, source, models)
                opened.append(Contender(name, settings, source, out / f"T{temperature:g}" / name))
        except ModelFailureError as error:
            if not everything:
                raise
            warn(f"{name} is left out: {error}")
        found += opened
    return found


def _settings(base: Settings, name: str) -> Settings:
    if name in PEERS:
        from model.load import default_name

        peer = default_name(base.device or "auto") if base.model == "default" else base.model
        return dataclasses.replace(base, model=f"{name}:{peer}", heads="", decode="ar")
    decode = next(known for known in get_args(Decode) if known == name)
    return dataclasses.replace(base, decode=decode)


def _load(name: str, settings: Settings, source: FromModel, models: Models) -> None:
    """Load the source's model: vLLM by way of `models`, with a share of the memory."""
    key = (settings.model, settings.heads, settings.device)
    if name == "vllm" and key not in models:
        if importlib.util.find_spec("vllm") is None:
            raise ModelFailureError("vLLM is not installed in this environment")
        from model import store
        from model.backends.vllm import VLLMModel

        # By itself it would take nine tenths of the memory, and the others are there already.
        peer = settings.model.partition(":")[2]
        device = settings.device or "auto"
        try:
            models[key] = VLLMModel(
                peer, folder=store.resolve(peer), device=device, gpu_memory_utilization=0.4
            )
        except Exception as error:  # a peer that does not start, for whatever reason, is no fault of ours
            raise ModelFailureError(f"vLLM does not start: {type(error).__name__}: {error}") from error
    _ = source.model


def _refuse(text: str) -> None:
    """A decoder without its heads would be measured as something that it is not."""
    raise ModelFailureError(text)


def generate(
    benchmark: Benchmark,
    contenders: Sequence[Contender],
    *,
    resume: bool,
    listener: Listener | None = None,
) -> None:
    """Answer every task with every contender, those that are on disk already left out. Raises RunFolderError,
    ModelFailureError.
    """
    listener = listener or Silent()
    tasks = select(benchmark, contenders[0].settings)
    prompts = {task.id: task.prompt for task in tasks}
    with ExitStack() as stack:
        judge = stack.enter_context(Judge(1, lazy=True))
        writers = []
        for one in contenders:
            config = make_config(benchmark, one.settings, one.source.info, tasks)
            writers.append(stack.enter_context(RunWriter(one.place, config, resume=resume, prompts=prompts)))
        have = [{sample.task_id for sample in writer.folder.samples()} for writer in writers]
        listener.started(len(tasks) * len(contenders), sum(map(len, have)), 0)
        for one, known in zip(contenders, have, strict=True):
            if len(known) < len(tasks):
                _warm_up(benchmark, one, tasks, judge)
        for number, task in enumerate(tasks):
            for turn in range(len(contenders)):
                at = (number + turn) % len(contenders)
                if task.id in have[at]:
                    continue
                _forget(contenders[at])
                sample, timing = contenders[at].source.sample(task, 0, judge)
                if timing:
                    writers[at].append(TIMING, {"task_id": task.id, "sample": 0, **timing})
                writers[at].append(SAMPLES, sample.to_row())
                listener.sampled(sample)


def _warm_up(benchmark: Benchmark, one: Contender, tasks: Sequence[Task], judge: Judge) -> None:
    """An answer that does not count: kernels compile, graphs are captured, pass widths are measured. On a GPU
    a whole one, behind the longest prompt; some tokens on a CPU.
    """
    limit = None if one.source.model.info.device.startswith("cuda") else _WARM_TOKENS
    settings = dataclasses.replace(one.settings, max_tokens=limit or one.settings.max_tokens)
    key = (settings.model, settings.heads, settings.device)
    source = FromModel(benchmark, settings, None, {key: one.source.model}, 1)
    source.sample(max(tasks, key=lambda task: len(task.prompt)), 0, judge)


def _forget(one: Contender) -> None:
    if isinstance(one.source.model, Forgetful):
        one.source.model.forget()


def judge(
    benchmark: Benchmark, contenders: Sequence[Contender], *, jobs: int | None = None, score: bool = True
) -> Iterator[dict[str, Any]]:
    """Judge what was generated and yield a row a contender."""
    summaries = [
        evaluate(benchmark, one.settings, one.place, source=one.source, resume=True, jobs=jobs, score=score)
        for one in contenders
    ]
    rates = [_rates(RunFolder(one.place)) for one in contenders]
    answers = [{s.task_id: s.raw for s in RunFolder(one.place).samples()} for one in contenders]
    for at, (one, summary) in enumerate(zip(contenders, summaries, strict=True)):
        median, low, high = spread(list(rates[at].values()))
        row = {
            "name": f"{one.name} T={one.settings.temperature:g}",
            "value": round(median, 2),
            "unit": "tokens/s",
            "spread": [round(low, 2), round(high, 2)],
            "beside": None,
            "ratio": None,
            "tok_s": summary["tok_s"],
            "tpf": summary["tpf"],
            "pass_at_1": summary["pass_at_1"] if score else None,
            "ci95": summary["ci95"] if score else None,
            "tasks": len(answers[at]),
            "run_dir": str(one.place),
        }
        plain = next((i for i, c in enumerate(contenders) if _is_plain(c, one)), None)
        if plain is not None:
            shared = [task for task in rates[at] if rates[plain].get(task)]
            ratio = spread([rates[at][task] / rates[plain][task] for task in shared])
            row["beside"] = round(spread(list(rates[plain].values()))[0], 2)
            row["ratio"] = round(ratio[0], 3)
            row["ratio_spread"] = [round(ratio[1], 3), round(ratio[2], 3)]
            row["same_as_ar"] = sum(answers[plain].get(task) == raw for task, raw in answers[at].items())
        yield row


def _is_plain(candidate: Contender, one: Contender) -> bool:
    return candidate.name == "ar" and candidate.settings.temperature == one.settings.temperature


def _rates(folder: RunFolder) -> dict[str, float]:
    """Tokens a second of each task's answer, reading the prompt included."""
    timings = folder.timings()
    return {
        sample.task_id: sample.tokens / timings[sample.key]["wall_s"]
        for sample in folder.samples()
        if sample.tokens and timings.get(sample.key, {}).get("wall_s")
    }


def write_rows(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """All rows as `bench.json` in `out`."""
    write_whole(out / "bench.json", json.dumps(list(rows), indent=1) + "\n")

"""Arms side by side, one process a GPU."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from model.ablation.arm import ArmRun
from model.errors import ModelError
from model.train.reading import ConfigError


def gpus(device: str) -> list[str | None]:
    """Values of CUDA_VISIBLE_DEVICES, one a GPU. [None]: a single place, left as it is. [""]: the CPU. Raises
    ConfigError when `device` is cuda and there is none."""
    if device == "cpu":
        return [""]
    import torch

    count = torch.cuda.device_count()
    if not count:
        if device == "cuda":
            raise ConfigError("--device cuda: this machine shows no NVIDIA GPU; use cpu, or run it there")
        return [None]
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return list(visible[:count] or map(str, range(count)))


def run_all(
    runs: Sequence[ArmRun],
    places: Sequence[str | None],
    jobs: int,
    on_end: Callable[[str, str], None] = lambda arm, error: None,
) -> dict[str, str]:
    """Run every arm, `jobs` at once (0: one a place), each on the place that is free. on_end hears the error,
    or "". Returns the errors of arms that failed; the others go on. Interrupted, it ends all of them."""
    jobs = jobs or len(places)
    free: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for number in range(jobs):
        free.put(places[number % len(places)])
    errors: dict[str, str] = {}

    def one(run: ArmRun) -> None:
        place = free.get()
        try:
            run.run(place)
        except (ModelError, OSError) as error:
            errors[run.arm.name] = str(error)
        finally:
            free.put(place)
        on_end(run.arm.name, errors.get(run.arm.name, ""))

    with ThreadPoolExecutor(jobs) as workers:
        under_way = [workers.submit(one, run) for run in runs]
        try:
            wait(under_way)
        except BaseException:
            for run in runs:
                run.stop()
            raise
    for done in under_way:
        done.result()
    return errors

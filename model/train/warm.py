"""Compile a run's passes before its clock starts.

A timed run pays for steps, not for compiling: the 0.5B's two stages and two block sizes take minutes to
compile, and a short comparison would measure little else. Each shape runs forward and backward once; the
gradients are thrown away, and batches and noise depend on the step alone, so the run is the same run.
"""

from __future__ import annotations

import time
from itertools import count, product
from typing import TYPE_CHECKING

import torch

from model.errors import ModelError
from model.train.device import out_of_memory
from model.train.tensors import Tensors

if TYPE_CHECKING:
    from model.train.trainer import Trainer


def warm_up(trainer: Trainer) -> float:
    """Seconds it took; 0 where nothing is compiled or no clock runs. Raises ModelError when out of memory."""
    training, device = trainer.config.training, trainer.device
    if not training.seconds or not (training.compile or device.type == "cuda"):
        return 0.0
    started = time.monotonic()
    stages = [False, True] if trainer.config.seed_diffusion.stage1_share < 1 else [False]
    rows = trainer.processes.rows(training.micro_batch_size)
    try:
        for size, stage2 in product(dict.fromkeys(trainer.config.seed_diffusion.block_size), stages):
            step = next(i for i in count() if trainer.batches.block_size(i) == size)
            total, _ = trainer.model(Tensors.of(trainer.batches.at(step, edits=stage2), device, rows))
            total.backward()
            trainer.optimizer.zero_grad(set_to_none=True)
    except torch.OutOfMemoryError as error:
        raise ModelError(out_of_memory(trainer.config, device)) from error
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic() - started

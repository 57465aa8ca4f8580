"""What a run logs: averages of the loss terms between two records, rates, memory."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch

from model.errors import NumericsError
from model.train import checkpoint
from model.train.forward import Terms
from model.train.tensors import Tensors

if TYPE_CHECKING:
    from model.train.trainer import Trainer

Record = dict[str, Any]


class Meter:
    """Averages between two log records, read from the device one step late so that it is never waited for."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._sums: dict[str, torch.Tensor] = {}
        self._last: torch.Tensor | None = None
        self._steps = self._draft = self._clean = 0
        self._since = time.monotonic()

    def count(self, batches: list[Tensors], terms: Terms, norm: torch.Tensor) -> None:
        if self._last is not None:
            self._require_finite(self._last)
        # The norm is that of all processes: one of them with a bad loss stops every one.
        self._last = terms.log["loss"] + norm * 0
        for name, value in {**terms.log, "grad_norm": norm}.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._draft += sum(batch.draft_ids_RNB.numel() for batch in batches)
        self._clean += sum(batch.ids_RT.numel() for batch in batches)

    def check(self) -> None:
        """Raises NumericsError when the newest loss or gradient is no number."""
        if self._last is not None:
            self._require_finite(self._last)

    def record(self) -> Record:
        self.check()
        trainer, training = self.trainer, self.trainer.config.training
        sums = trainer.processes.mean(torch.stack([x.float() for x in self._sums.values()])).tolist()
        values = {name: round(x / self._steps, 6) for name, x in zip(self._sums, sums, strict=True)}
        world = trainer.processes.world
        seconds = time.monotonic() - self._since
        cuda = trainer.device.type == "cuda"
        progress = trainer.progress
        record: Record = {
            "step": trainer.step,
            "seconds": round(trainer.elapsed, 2),
            "epoch": round(
                trainer.step
                * training.micro_batch_size
                * training.gradient_accumulation_steps
                / trainer.batches.rows_per_epoch,
                3,
            ),
            "stage": 2 if trainer.stage2 else 1,
            "learning_rate": trainer.optimizer.param_groups[0]["lr"],
            **values,
            **(trainer.on_policy.figures if trainer.on_policy else {}),
            "draft_tokens_per_s": round(world * self._draft / seconds),
            "clean_tokens_per_s": round(world * self._clean / seconds),
            "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else 0.0,
            "eta_s": round(trainer.elapsed / progress * (1 - progress)) if progress else None,
        }
        self._sums, self._steps, self._draft, self._clean = {}, 0, 0, 0
        self._since = time.monotonic()
        return record

    def _require_finite(self, loss: torch.Tensor) -> None:
        if not math.isfinite(float(loss)):
            last = checkpoint.latest(self.trainer.run)
            kept = f"{last} is the last good checkpoint" if last else "no checkpoint was written yet"
            raise NumericsError(
                f"the loss is no number at step {self.trainer.step}; stopped, {kept}. Lower "
                "training.learning_rate or training.clip and resume"
            )

"""The training loop: `train(config, run)` makes or resumes a run in a folder and leaves its heads in
RUN/heads.

    RUN/config.json   what was asked      RUN/log.jsonl     one record every `log_every` steps
    RUN/checkpoints/  see model.train.checkpoint            RUN/heads/  the result

Batches and noise depend on (seed, step) alone, so a run that is killed and resumed has the loss curve of
one that was not (bit for bit on the CPU; a timed run follows the clock instead). Base weights are frozen;
adapters are float32 masters that the forward pass casts to the compute dtype.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model import store
from model.base import Base
from model.checkpoint import base_sha256
from model.data.packages import DataError
from model.data.samples import Samples
from model.errors import ModelError, NumericsError
from model.heads import HeadSet, check_folder
from model.tokenizer import Tokenizer
from model.train import checkpoint
from model.train.config import ConfigError, TrainConfig
from model.train.forward import PackedForward, Terms
from model.train.lengths import training_median
from model.train.objectives.next_token import scaffold_ids
from model.train.packing import Batches
from model.train.schedule import learning_rate
from model.train.start import take_over
from model.train.tensors import Tensors
from model.train.vocabulary import commonest

Record = dict[str, Any]
OnLog = Callable[[Record], None]


class Trainer:
    """Everything a run holds. `on_log` gets each record as it is written."""

    def __init__(self, config: TrainConfig, run: Path, on_log: OnLog = lambda record: None) -> None:
        self.config, self.run, self.on_log = config, run, on_log
        self.device = pick_device(config)
        folder = store.resolve(config.base)
        self.tokenizer = Tokenizer(folder)
        self.base_sha256 = base_sha256(folder)
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        torch.manual_seed(config.training.seed)
        self.base = Base.load(folder, dtype=dtype, device=self.device)
        samples = self._samples()
        scaffold = scaffold_ids(self.tokenizer.encode)
        mask_id = self.tokenizer.mask_id
        self.heads = HeadSet.create(self.base, config.heads(), mask_id, torch.float32)
        self.fresh: list[str] = []
        if config.start:
            start = Path(config.start)
            check_folder(start, base_sha256=self.base_sha256, tokenizer_sha256=self.tokenizer.sha256)
            self.fresh = take_over(self.heads, self.base, start)
        elif config.training.draft_vocabulary:
            vocab = commonest(samples, config.training.draft_vocabulary, self.base.config.vocab)
            self.heads.draft_vocab = torch.from_numpy(vocab).to(self.device)
        self.answer_median = training_median(samples)
        self.batches = Batches(samples, config, mask_id if mask_id is not None else -1, scaffold)
        self.forward = PackedForward(self.base, self.heads, config)
        self.parameters = dict(self._trained())
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=config.training.learning_rate,
            weight_decay=config.training.weight_decay,
            betas=(0.9, 0.95),
            fused=self.device.type == "cuda",
        )
        self.step, self.elapsed = 0, 0.0

    def _samples(self) -> Samples:
        paths = self.config.data.train
        if not paths:
            raise DataError(
                "data.train names no sample file; make one with `model data build` and `model data answer`"
            )
        items = []
        for path in paths:
            loaded = Samples.load(path)
            theirs = loaded.meta.get("tokenizer", "")
            if theirs and theirs != self.tokenizer.sha256:
                raise DataError(
                    f"{path} was tokenized for another base; encode it with base {self.config.base}"
                )
            items += loaded.items
        return Samples(items)

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """(name, parameter) of all that this run trains."""
        for head in self.heads.config.heads:
            for i, parameter in enumerate(self.heads.trained_parameters(self.base, head)):
                yield f"{head}.{i}", parameter
        frozen = {"hint"} | (set() if self.config.sequential_head.train else {"sequential"})
        for name, parameter in self.heads.named_parameters():
            if name.split(".")[0] not in frozen:
                yield name, parameter

    @property
    def progress(self) -> float:
        training = self.config.training
        done = self.elapsed / training.seconds if training.seconds else self.step / training.max_steps
        return min(1.0, done)

    def resume(self) -> bool:
        """Take up the newest checkpoint of the run, if there is one."""
        checkpoint.clear_partial(self.run)
        path = checkpoint.latest(self.run)
        if path is None:
            return False
        state = checkpoint.load(path, self.device)
        if state["base_sha256"] != self.base_sha256:
            raise checkpoint.CheckpointError(
                f"{path} was trained on another base; give this run a folder of its own"
            )
        wanted = json.dumps(_identity(self.config), sort_keys=True)
        if state["identity"] != wanted:
            raise checkpoint.CheckpointError(
                f"{path} was made with another configuration; resume with {self.run / 'config.json'} "
                "or give this run a folder of its own"
            )
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["parameters"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.heads.draft_vocab = state["draft_vocab"]
        self.forward = PackedForward(self.base, self.heads, self.config)
        self.step, self.elapsed = state["step"], state["elapsed"]
        _cut_log(self.run / "log.jsonl", self.step)
        return True

    def fit(self) -> None:
        """Run to the end. Raises NumericsError on a loss that is no number; the last good checkpoint
        stays."""
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / "config.json").write_text(json.dumps(self.config.as_dict(), indent=1) + "\n")
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log, ThreadPoolExecutor(1) as builder:
            meter = Meter(self)
            ahead: Future[Any] = builder.submit(self._build, self.step, self.stage2)
            while self.progress < 1 and self.step < self.config.training.max_steps:
                started, stage2 = time.monotonic(), self.stage2
                batches, built_stage2 = ahead.result()
                if built_stage2 != stage2:
                    batches, _ = self._build(self.step, stage2)
                ahead = builder.submit(self._build, self.step + 1, stage2)
                terms, norm = self._update(batches)
                meter.count(batches, terms, norm)
                self.step += 1
                if self.step % self.config.training.log_every == 0 or self.step == 1:
                    record = meter.record()
                    log.write(json.dumps(record) + "\n")
                    log.flush()
                    self.on_log(record)
                self.elapsed += time.monotonic() - started
                if self.step % self.config.training.save_every == 0:
                    meter.check()
                    self.save()
            meter.check()
            ahead.cancel()
        self.save()
        self.write_heads(self.run / "heads")

    @property
    def stage2(self) -> bool:
        return self.progress >= self.config.seed_diffusion.stage1_share

    def _build(self, step: int, stage2: bool) -> tuple[list[Tensors], bool]:
        count = self.config.training.gradient_accumulation_steps
        batches = [self.batches.at(step, micro, edits=stage2) for micro in range(count)]
        return [Tensors.of(batch, self.device) for batch in batches], stage2

    def _update(self, batches: list[Tensors]) -> tuple[Terms, torch.Tensor]:
        training = self.config.training
        rate = learning_rate(training, self.step, self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total: Terms | None = None
        try:
            for batch in batches:
                terms = self.forward(batch)
                (terms.total / len(batches)).backward()  # type: ignore[no-untyped-call]  # torch's backward is untyped
                total = terms if total is None else _added(total, terms)
            norm = nn.utils.clip_grad_norm_(self.parameters.values(), training.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        except torch.OutOfMemoryError as error:
            raise ModelError(_out_of_memory(self.config, self.device)) from error
        assert total is not None
        total.log = {name: value / len(batches) for name, value in total.log.items()}
        return total, norm

    def save(self) -> Path:
        """Write a checkpoint of the present step."""
        state = {
            "step": self.step,
            "elapsed": self.elapsed,
            "base_sha256": self.base_sha256,
            "identity": json.dumps(_identity(self.config), sort_keys=True),
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "draft_vocab": self.heads.draft_vocab,
        }
        return checkpoint.save(self.run, self.step, state, self.write_heads)

    def write_heads(self, folder: Path) -> None:
        training = self.config.training
        precision = torch.bfloat16 if training.adapter_precision == "bf16" else torch.float32
        rows = training.micro_batch_size * training.gradient_accumulation_steps
        record = {
            "steps": self.step,
            "seconds": round(self.elapsed, 1),
            "draft_tokens": self.step * rows * training.draft_tokens,
            "clean_tokens": self.step * rows * training.row_tokens,
            "samples": len(self.batches.samples),
            "answer_median": self.answer_median,
            "config": self.config.as_dict(),
        }
        self.heads.save(
            folder,
            self.base,
            base_sha256=self.base_sha256,
            tokenizer_sha256=self.tokenizer.sha256,
            base_name=self.config.base,
            training=record,
            dtype=precision,
        )


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
        values = {name: round(float(total) / self._steps, 6) for name, total in self._sums.items()}
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
            "draft_tokens_per_s": round(self._draft / seconds),
            "clean_tokens_per_s": round(self._clean / seconds),
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


def pick_device(config: TrainConfig) -> torch.device:
    """Raises ConfigError when the configuration needs a GPU and there is none."""
    have = torch.cuda.is_available()
    training = config.training
    if not have and (training.device == "cuda" or training.base_model_quantization == "fp8"):
        asked = (
            "training.device: cuda" if training.device == "cuda" else "training.base_model_quantization: fp8"
        )
        raise ConfigError(
            f"{asked} needs an NVIDIA GPU, and this machine shows none; run it there or change the key"
        )
    return torch.device("cuda" if have and training.device != "cpu" else "cpu")


def _identity(config: TrainConfig) -> dict[str, Any]:
    """What must not change between the parts of a run: all but how long it goes on and where it logs."""
    plain = config.as_dict()
    for key in ("max_steps", "seconds", "log_every", "save_every", "device", "compile"):
        plain["training"].pop(key)
    return plain


def _added(a: Terms, b: Terms) -> Terms:
    return Terms(a.total, {name: value + b.log[name] for name, value in a.log.items()})


def _out_of_memory(config: TrainConfig, device: torch.device) -> str:
    training = config.training
    total = torch.cuda.get_device_properties(device).total_memory / 2**30 if device.type == "cuda" else 0.0
    rows = training.micro_batch_size
    if rows > 1:
        advice = (
            f"lower training.micro_batch_size from {rows} to {rows // 2} and raise "
            f"gradient_accumulation_steps to {2 * training.gradient_accumulation_steps}"
        )
    elif not training.gradient_checkpointing:
        advice = "set training.gradient_checkpointing to true"
    else:
        advice = f"lower training.draft_tokens from {training.draft_tokens} to {training.draft_tokens // 2}"
    return f"out of memory ({total:.0f} GiB on this GPU): {advice}; the run resumes from its last checkpoint"


def _cut_log(path: Path, step: int) -> None:
    """Drop records past the checkpoint: the resumed run writes them again."""
    if path.exists():
        kept = [line for line in path.read_text("utf-8").splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), "utf-8")

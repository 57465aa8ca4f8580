"""The training loop: `train(config, run)` makes or resumes a run in a folder and leaves its heads in
RUN/heads.

    RUN/config.json   what was asked      RUN/log.jsonl     one record every `log_every` steps
    RUN/checkpoints/  see model.train.checkpoint            RUN/heads/  the result

Batches and noise depend on (seed, step) alone, so a run that is killed and resumed has the loss curve of
one that was not (bit for bit on the CPU; a timed run follows the clock instead). Base weights are frozen;
adapters are float32 masters that the forward pass casts to the compute dtype. Started by torchrun or
`accelerate launch` the run is shared by processes (model.train.processes); the first writes and logs.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model import store
from model.base import Base
from model.checkpoint import base_sha256, write_folder
from model.errors import ModelError
from model.heads import HeadSet, check_folder
from model.lora import share
from model.tokenizer import Tokenizer
from model.train import checkpoint, state
from model.train.config import TrainConfig
from model.train.device import check_quantization, out_of_memory, pick_device
from model.train.forward import PackedForward, Terms
from model.train.lengths import training_median
from model.train.masters import Masters
from model.train.meter import Meter, Record
from model.train.objectives.next_token import scaffold_ids
from model.train.onpolicy.learner import OnPolicy
from model.train.onpolicy.pool import Pool
from model.train.packing import Batches
from model.train.processes import Processes, full, gathered
from model.train.samples import read_samples
from model.train.schedule import learning_rate
from model.train.start import take_over
from model.train.tensors import Tensors
from model.train.vocabulary import commonest
from model.train.warm import warm_up

OnLog = Callable[[Record], None]


class Pass(nn.Module):
    """The packed forward as one module, which is what DDP and FSDP2 wrap."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.base, self.heads = trainer.base, trainer.heads
        self.trainer = trainer

    def forward(self, t: Tensors) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        terms = self.trainer.forward(t)
        return terms.total, terms.log


class Trainer:
    """Everything a run holds. `on_log` gets each record as it is written."""

    def __init__(self, config: TrainConfig, run: Path, on_log: OnLog = lambda record: None) -> None:
        self.config, self.run, self.on_log = config, run, on_log
        self.processes = Processes.of(config, pick_device(config))
        self.device = self.processes.device
        judged = config.seed_diffusion.on_policy_learning
        self.on_policy = OnPolicy(config, run, self.processes) if judged else None
        folder = self.folder = store.resolve(config.base)
        check_quantization(config, folder)
        self.tokenizer = Tokenizer(folder)
        self.base_sha256 = base_sha256(folder)
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        torch.manual_seed(config.training.seed)
        self.base = Base.load(folder, dtype=dtype, device=self.device)
        samples = read_samples(config, self.tokenizer.sha256)
        scaffold = scaffold_ids(self.tokenizer.encode)
        mask_id = self.tokenizer.mask_id
        self.heads = HeadSet.create(self.base, config.heads(), mask_id, torch.float32)
        self.masters = Masters(self.base) if config.full_fine_tuning.train else None
        if config.shared_head:
            share(self.base, list(config.heads().heads))
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
        self.forward = PackedForward(self.base, self.heads, config, self.processes.mean)
        self.heads.requires_grad_(False)
        for _, parameter in self._trained():
            parameter.requires_grad_(True)
        optimizer = torch.optim.AdamW(
            self._groups(),
            lr=config.training.learning_rate,
            weight_decay=config.training.weight_decay,
            betas=(0.9, 0.95),
            fused=self.device.type == "cuda",
        )
        self.whole_pass = Pass(self)
        if self.masters is not None:
            optimizer.register_step_post_hook(self.masters.write_back)
        self.model, self.optimizer = self.processes.prepare(self.whole_pass, optimizer)
        self.parameters = dict(self._trained())
        self.step, self.elapsed, self.warm_s = 0, 0.0, 0.0

    def _groups(self) -> list[dict[str, Any]]:
        """What the optimizer steps, in the order of `_trained`; share: of the learning rate."""
        own = [parameter for name, parameter in self._trained() if not name.startswith("base.")]
        groups: list[dict[str, Any]] = [{"params": own, "share": 1.0}]
        if self.masters is not None:
            slower = self.config.full_fine_tuning.learning_rate / self.config.training.learning_rate
            groups.append({"params": [master for _, master in self.masters.named()], "share": slower})
        return groups

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """(name, parameter) of all that this run trains."""
        names = list(self.heads.config.heads)
        for head in names[:1] if self.config.shared_head else names:
            for i, parameter in enumerate(self.heads.trained_parameters(self.base, head)):
                yield f"{head}.{i}", parameter
        frozen = {"hint"} | (set() if self.config.sequential_head.train else {"sequential"})
        for name, parameter in self.heads.named_parameters():
            if name.split(".")[0] not in frozen:
                yield name, parameter
        if self.masters is not None:
            yield from self.masters.named()

    @property
    def progress(self) -> float:
        training = self.config.training
        done = self.elapsed / training.seconds if training.seconds else self.step / training.max_steps
        return min(1.0, done)

    def resume(self) -> bool:
        """Take up the newest checkpoint of the run, if there is one."""
        if self.processes.main:
            checkpoint.clear_partial(self.run)
        self.processes.wait()
        path = checkpoint.latest(self.run)
        if path is None:
            return False
        state.restore(self, path)
        if self.processes.main:
            _cut_log(self.run / "log.jsonl", self.step)
        return True

    def fit(self) -> None:
        """Run to the end. Raises NumericsError on a loss that is no number; the last good checkpoint
        stays."""
        if self.processes.main:
            self.run.mkdir(parents=True, exist_ok=True)
            (self.run / "config.json").write_text(json.dumps(self.config.as_dict(), indent=1) + "\n")
        judging = contextlib.closing(self.on_policy) if self.on_policy else contextlib.nullcontext()
        with self.processes.guarded(), judging, ThreadPoolExecutor(1) as builder:
            self.warm_s += warm_up(self)
            meter = Meter(self)
            ahead: Future[Any] = builder.submit(self._build, self.step, self.stage2)
            while self.progress < 1 and self.step < self.config.training.max_steps:
                started, stage2 = time.monotonic(), self.stage2
                if self.on_policy is not None and stage2:
                    self.on_policy.refresh(self.step, self.forward, self.tokenizer)
                batches, built = ahead.result()
                if built != (stage2, self._pool):
                    batches, _ = self._build(self.step, stage2)
                ahead = builder.submit(self._build, self.step + 1, stage2)
                terms, norm = self._update(batches)
                meter.count(batches, terms, norm)
                self.step += 1
                if self.step % self.config.training.log_every == 0 or self.step == 1:
                    record = meter.record()
                    self._log(record)
                self.elapsed = self.processes.agree(self.elapsed + time.monotonic() - started)
                if self.step % self.config.training.save_every == 0:
                    meter.check()
                    self.save()
            meter.check()
            ahead.cancel()
            self.save()
            with gathered(self.whole_pass, self.parameters):
                if self.processes.main:
                    self.write_heads(self.run / "heads")
            self.processes.wait()

    def _log(self, record: Record) -> None:
        if not self.processes.main:
            return
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        self.on_log(record)

    @property
    def stage2(self) -> bool:
        return self.progress >= self.config.seed_diffusion.stage1_share

    def _build(self, step: int, stage2: bool) -> tuple[list[Tensors], tuple[bool, Pool | None]]:
        count, pool = self.config.training.gradient_accumulation_steps, self._pool
        batches = [self.batches.at(step, micro, edits=stage2) for micro in range(count)]
        if self.on_policy is not None and pool is not None and stage2:
            fill = self.batches.mask_id
            batches = [self.on_policy.mix(b, pool, step, micro, fill) for micro, b in enumerate(batches)]
        rows = self.processes.rows(self.config.training.micro_batch_size)
        return [Tensors.of(batch, self.device, rows) for batch in batches], (stage2, pool)

    @property
    def _pool(self) -> Pool | None:
        return None if self.on_policy is None else self.on_policy.pool

    def _update(self, batches: list[Tensors]) -> tuple[Terms, torch.Tensor]:
        training = self.config.training
        rate = learning_rate(training, self.step, self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        total: Terms | None = None
        try:
            for number, batch in enumerate(batches):
                last = number + 1 == len(batches)
                local = contextlib.nullcontext() if last else self.processes.accumulating(self.model)
                with local:
                    terms = Terms(*self.model(batch))
                    (terms.total / len(batches)).backward()  # type: ignore[no-untyped-call]  # torch's backward is untyped
                total = terms if total is None else _added(total, terms)
            norm = full(nn.utils.clip_grad_norm_(self.parameters.values(), training.clip))
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        except torch.OutOfMemoryError as error:
            raise ModelError(out_of_memory(self.config, self.device)) from error
        assert total is not None
        total.log = {name: value / len(batches) for name, value in total.log.items()}
        return total, norm

    def save(self) -> None:
        """Write a checkpoint of the present step: whole tensors, so that it loads on any number of
        processes."""
        held = state.of(self)
        with gathered(self.whole_pass, self.parameters):
            if self.processes.main:
                checkpoint.save(self.run, self.step, held, self.write_heads)
        self.processes.wait()

    def write_heads(self, folder: Path) -> None:
        training = self.config.training
        precision = torch.bfloat16 if training.adapter_precision == "bf16" else torch.float32
        rows = training.micro_batch_size * training.gradient_accumulation_steps
        record = {
            "steps": self.step,
            "seconds": round(self.elapsed, 1),
            "warm_seconds": round(self.warm_s, 1),
            "draft_tokens": self.step * rows * training.draft_tokens,
            "clean_tokens": self.step * rows * training.row_tokens,
            "samples": len(self.batches.samples),
            "trained_parameters": sum(parameter.numel() for parameter in self.parameters.values()),
            "answer_median": self.answer_median,
            "config": self.config.as_dict(),
        }
        sha256 = self.base_sha256
        if self.masters is not None:
            write_folder(self.base, self.folder, folder.parent / "base")
            sha256 = base_sha256(folder.parent / "base")
        self.heads.save(
            folder,
            self.base,
            base_sha256=sha256,
            tokenizer_sha256=self.tokenizer.sha256,
            base_name=self.config.base,
            training=record,
            dtype=precision,
        )


def _added(a: Terms, b: Terms) -> Terms:
    return Terms(a.total, {name: value + b.log[name] for name, value in a.log.items()})


def _cut_log(path: Path, step: int) -> None:
    """Drop records past the checkpoint: the resumed run writes them again."""
    if path.exists():
        kept = [line for line in path.read_text("utf-8").splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), "utf-8")

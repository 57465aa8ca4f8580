"""What a configuration would run, without running it: `model train CONFIG --dry-run`.

    report = survey(TrainConfig.read(path))
    report.missing            # what keeps it from running here, a line each

Nothing is trained and no weights are read: adapters are counted on a base of the same shape that has no
storage. Memory is that of weights and trained parts; activations come on top.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from model import store
from model.base import Base
from model.baseconfig import BaseConfig
from model.errors import ModelError
from model.length import LengthHead
from model.lora import mount
from model.memory import Shape, shape_of
from model.names import NAMED
from model.sequential import SequentialHead
from model.tokenizer import Tokenizer
from model.train.config import TrainConfig
from model.train.device import check_quantization, pick_device
from model.train.head_sections import ATTENTION
from model.train.lengths import training_median
from model.train.onpolicy.learner import read_tasks
from model.train.packing import Batches
from model.train.samples import read_samples
from model.train.verifier import installed

T = TypeVar("T")
TRAINED_BYTES = 16
"""Of a trained parameter: float32 master, gradient and Adam's two moments."""


@dataclass(slots=True)
class Report:
    """parameters: trained ones by part, {} where the base's shape is not known. weight_bytes: of the base as
    it would be held. stages: (name, steps, objectives); steps are a share of the run when time bounds it.
    samples, rows, epochs: of the training data, 0 where it cannot be read. tasks: of on-policy learning.
    rounds: of rollouts, 0 where time bounds the run. missing: what keeps the run from starting here."""

    base: str
    present: bool = False
    device: str = ""
    parameters: dict[str, int] = field(default_factory=dict)
    weight_bytes: int = 0
    stages: list[tuple[str, float, list[str]]] = field(default_factory=list)
    samples: int = 0
    rows: int = 0
    epochs: float = 0.0
    answer_median: float = 0.0
    verifier: str = ""
    tasks: int = 0
    rounds: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def trained_bytes(self) -> int:
        return TRAINED_BYTES * sum(self.parameters.values())

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "trained_bytes": self.trained_bytes}


def survey(config: TrainConfig) -> Report:
    """Raises WeightsError for heads that this base cannot carry; all else that would stop the run is
    collected in `missing`."""
    report = Report(config.base, stages=stages(config))
    asked = _try(report, lambda: pick_device(config))
    report.device = asked.type if asked else config.training.device
    folder = _try(report, lambda: store.resolve(config.base))
    report.present = folder is not None
    if folder is not None:
        _try(report, lambda: check_quantization(config, folder))
    named = NAMED.get(config.base)
    shape = shape_of(folder) if folder is not None else named.shape if named else None
    if shape is not None:
        report.weight_bytes = shape.weight_bytes if report.device != "cpu" else 4 * shape.parameters
        report.parameters = trained(config, BaseConfig.read(folder) if folder else _geometry(config, shape))
    _data(report, config, folder)
    if config.seed_diffusion.on_policy_learning:
        _on_policy(report, config)
    return report


def stages(config: TrainConfig) -> list[tuple[str, float, list[str]]]:
    """The curriculum: what each stage learns, and for how many steps (a share where time bounds the run)."""
    goals, plan = config.objectives, config.seed_diffusion
    first = [name for name in ("draft", "infill") if getattr(goals, name)]
    first += ["next_token"] * bool(config.ar_head.train and goals.next_token)
    first += ["length"] * bool(config.length_head.train and goals.length)
    second = [*first, *["edit"] * bool(goals.edit), *["order"] * bool(plan.constrained_order and goals.order)]
    if plan.on_policy_learning:
        second.append(f"on_policy ({config.on_policy.method})")
    total = 1.0 if config.training.seconds else float(config.training.max_steps)
    begin = plan.stage1_share * total if config.training.seconds else math.ceil(plan.stage1_share * total)
    both = [("stage 1", begin, first), ("stage 2", total - begin, second)]
    return [stage for stage in both if stage[1]]


def trained(config: TrainConfig, geometry: BaseConfig | None) -> dict[str, int]:
    """Trained parameters by part; {} without a geometry. Raises WeightsError: a target the base lacks."""
    if geometry is None:
        return {}
    heads = config.heads()
    with torch.device("meta"):
        base = Base(geometry)
        own = [p.numel() for name, p in base.named_parameters() if name.startswith(("layers.", "norm."))]
        counts = {
            name: sum(p.numel() for p in mount(base, name, head.lora)) for name, head in heads.heads.items()
        }
        if config.shared_head:  # the first head's adapter is that of all
            counts = {name: count if not i else 0 for i, (name, count) in enumerate(counts.items())}
        if config.full_fine_tuning.train:
            counts["base"] = sum(own)
        if "length_head" in heads.heads:
            small = LengthHead(geometry.hidden, heads.length.edges())
            counts["length_head"] += sum(p.numel() for p in small.parameters())
        if "diffusion_head" in heads.heads:
            counts["diffusion_head"] += geometry.hidden  # the MASK vector
            if heads.sequential_width and config.sequential_head.train:
                head = SequentialHead(geometry.hidden, heads.sequential_width)
                counts["sequential_head"] = sum(p.numel() for p in head.parameters())
    return counts


def _geometry(config: TrainConfig, shape: Shape) -> BaseConfig | None:
    """Of a base that is known by name only: its attention. None where more than that is trained."""
    heads = (config.ar_head, config.diffusion_head, config.length_head)
    targets = {name for head in heads for name in head.target_modules}
    if config.full_fine_tuning.train or not targets <= set(ATTENTION):
        return None
    return BaseConfig(
        family="qwen3",
        vocab=shape.vocab,
        hidden=shape.hidden,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate=1,
        eps=1e-6,
        tied=True,
        theta=1e6,
        positions=shape.context,
    )


def _data(report: Report, config: TrainConfig, folder: Path | None) -> None:
    tokenizer = Tokenizer(folder) if folder is not None else None
    samples = _try(report, lambda: read_samples(config, tokenizer.sha256 if tokenizer else ""))
    if samples is None:
        return
    mask = tokenizer.mask_id if tokenizer and tokenizer.mask_id is not None else -1
    batches = _try(report, lambda: Batches(samples, config, mask))
    if batches is None:
        return
    training = config.training
    rows = training.micro_batch_size * training.gradient_accumulation_steps
    report.samples, report.rows = len(batches.samples), batches.rows_per_epoch
    report.epochs = 0.0 if training.seconds else training.max_steps * rows / batches.rows_per_epoch
    report.answer_median = training_median(samples)


def _on_policy(report: Report, config: TrainConfig) -> None:
    """The verifier and its tasks."""
    report.verifier = config.seed_diffusion.verifier
    if not config.training.seconds:
        report.rounds = math.ceil(report.stages[-1][1] / config.on_policy.every)
    verifier = _try(report, lambda: installed(report.verifier))
    if verifier is None:
        return
    try:
        if why := verifier.unavailable():
            report.missing.append(f"verifier {report.verifier} cannot judge here: {why}")
        report.tasks = len(_try(report, lambda: read_tasks(config.on_policy.tasks, verifier)) or ())
    finally:
        verifier.close()


def _try(report: Report, step: Callable[[], T]) -> T | None:
    """The result of a step, or None and its error among what is missing."""
    try:
        return step()
    except ModelError as error:
        report.missing.append(str(error))
        return None

"""The configuration of a training run: one YAML file, read strictly.

    config = TrainConfig.read(Path("configs/qwen0.5b-heads.yaml"))

Every key does something or is an error: an unknown key names the nearest known one, a value of the wrong
type or out of range names the key and what is allowed, and a setting this trainer cannot honour is refused
before any work.
"""

from __future__ import annotations

import difflib
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from model.errors import ModelError

if TYPE_CHECKING:
    from model.headconfig import HeadsConfig

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


class ConfigError(ModelError):
    """A configuration that cannot be used; the message names the file, the key and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """A LoRA head: rank r (0: no adapter, the base's own weights), scale alpha / r. train: False leaves the
    head out; its tokens run on the base."""

    r: int = 128
    alpha: float = 256.0
    target_modules: tuple[str, ...] = ATTENTION
    train: bool = True

    def check(self, where: str) -> None:
        unknown = [name for name in self.target_modules if name not in PROJECTIONS]
        if unknown:
            raise ConfigError(f"{where}.target_modules: {unknown[0]!r} is none of {', '.join(PROJECTIONS)}")
        _positive(where, alpha=self.alpha)
        if self.r < 0:
            raise ConfigError(f"{where}.r must be 0 (no adapter) or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthConfig(HeadConfig):
    """Answers fall into `buckets` log-spaced buckets from `shortest` to `longest` tokens."""

    r: int = 64
    alpha: float = 128.0
    buckets: int = 24
    shortest: int = 8
    longest: int = 4096

    def check(self, where: str) -> None:
        HeadConfig.check(self, where)
        _positive(where, buckets=self.buckets, shortest=self.shortest)
        if self.shortest >= self.longest:
            raise ConfigError(f"{where}.shortest must be below {where}.longest")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialConfig:
    """The small recurrent head that picks draft tokens one after the other; width 0 leaves it out."""

    width: int = 1024
    train: bool = True

    def check(self, where: str) -> None:
        if self.width < 0:
            raise ConfigError(f"{where}.width must be 0 (none) or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class FullFineTuningConfig:
    """train: all weights of the base's layers learn, for every role, in place of adapters; the embedding,
    which may be the output matrix too, stays. The result is a base of its own, beside its heads.
    learning_rate: of these weights; that of `training` is for the small parts."""

    train: bool = False
    learning_rate: float = 5e-5

    def check(self, where: str) -> None:
        _positive(where, learning_rate=self.learning_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """micro_batch_size: rows a forward, of all processes; gradient_accumulation_steps: forwards a step.
    seconds: stop (and let the learning rate end) after so much time instead of `max_steps`; compiling before
    the first step is not counted.
    decay_start: share of the run after which the rate falls along a cosine to `final_learning_rate` times
    its top. row_tokens: clean tokens a row; draft_tokens: draft tokens a row. device: auto, cpu or cuda.
    distributed: over several processes (torchrun), auto is ddp. log_every, save_every: steps."""

    micro_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    max_steps: int = 1000
    seconds: float = 0.0
    learning_rate: float = 4e-4
    weight_decay: float = 0.0
    warmup_steps: int = 100
    decay_start: float = 0.55
    final_learning_rate: float = 0.04
    clip: float = 1.0
    seed: int = 1
    base_model_quantization: Literal["none", "fp8"] = "none"
    adapter_precision: Literal["bf16", "fp32"] = "bf16"
    row_tokens: int = 2048
    draft_tokens: int = 3072
    draft_vocabulary: int = 32768
    gradient_checkpointing: bool = False
    compile: bool = False
    distributed: Literal["auto", "ddp", "fsdp2"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = 10
    save_every: int = 500

    def check(self, where: str) -> None:
        _positive(
            where,
            micro_batch_size=self.micro_batch_size,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            max_steps=self.max_steps,
            learning_rate=self.learning_rate,
            row_tokens=self.row_tokens,
            draft_tokens=self.draft_tokens,
            clip=self.clip,
            log_every=self.log_every,
            save_every=self.save_every,
        )
        _share(where, decay_start=self.decay_start, final_learning_rate=self.final_learning_rate)
        for name in ("weight_decay", "warmup_steps", "seconds", "draft_vocabulary"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{where}.{name} must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDiffusionConfig:
    """How the diffusion head is trained. Stage 1 learns from masked blocks, stage 2 adds edit corruption.
    stage steps are shares of the run when the run is bounded by time. constrained_order: in stage 2 a share
    of the blocks (objectives.order) learns the best of order_trajectories decoding trajectories of at most
    order_passes passes, what its next order_horizon passes reveal from a point on it. block_size: one
    size, or several drawn step by step."""

    two_stage_training: bool = True
    stage1_steps: int = 800
    stage2_steps: int = 200
    constrained_order: bool = False
    order_passes: int = 8
    order_trajectories: int = 2
    order_horizon: int = 2
    on_policy_learning: bool = False
    verifier: Literal["none", "python", "bend_hvm"] = "none"
    block_wise_parallel: bool = True
    block_size: tuple[int, ...] = (32,)
    kv_caching: bool = True

    @property
    def stage1_share(self) -> float:
        if not self.two_stage_training:
            return 1.0
        return self.stage1_steps / max(1, self.stage1_steps + self.stage2_steps)

    def check(self, where: str) -> None:
        if not self.block_size or min(self.block_size) < 2:
            raise ConfigError(f"{where}.block_size must be 2 or more: one visible token and its masks")
        _share(where, stage1_share=self.stage1_share)
        _positive(
            where,
            order_passes=self.order_passes,
            order_trajectories=self.order_trajectories,
            order_horizon=self.order_horizon,
        )
        if self.constrained_order and self.stage1_share == 1:
            raise ConfigError(
                f"{where}.constrained_order belongs to stage 2, and there is none: set two_stage_training to "
                "true and stage2_steps above 0, or constrained_order to false"
            )
        if self.on_policy_learning or self.verifier != "none":
            raise ConfigError(
                f"{where}.on_policy_learning: rollouts judged by a verifier are not built yet; set it to "
                "false and verifier to none"
            )
        if not self.block_wise_parallel:
            raise ConfigError(
                f"{where}.block_wise_parallel: false has no trainer; blocks are trained side by side"
            )
        if not self.kv_caching:
            raise ConfigError(
                f"{where}.kv_caching: false has no trainer; draft copies always share the clean K/V"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectivesConfig:
    """Weights of the loss terms, and the share of the draft blocks that each corruption gets.

    draft: all masks, weight exp(-j / draft_decay) at the j-th prediction; restart: share of a block's
    weight that grows with the base's doubt about its visible token (objectives/restart.py). infill:
    masked at a ratio drawn from [infill_min, infill_max], in complementary pairs; infill_prefix of them
    show a beginning and mask what follows, as a decoder's blocks do. edit: stage 2 only, at most edit_max
    of the tokens inserted, deleted or substituted. order: stage 2 only, with constrained_order. kl: part
    of the target that is the base's own distribution, the rest being the token. next_token: loss of the
    AR head, when it trains. scaffold: weight of tokens that lay out a program (def, class, if, return,
    ...) in the next-token loss."""

    draft: float = 0.7
    infill: float = 0.3
    edit: float = 0.15
    order: float = 0.1
    draft_decay: float = 14.0
    restart: float = 0.0
    infill_min: float = 0.1
    infill_max: float = 1.0
    infill_prefix: float = 0.0
    complementary: bool = True
    edit_max: float = 0.1
    kl: float = 0.5
    certainty: float = 0.0
    refined: float = 1.0
    next_token: float = 0.2
    scaffold: float = 2.0
    length: float = 0.1

    def check(self, where: str) -> None:
        names = (
            "draft",
            "infill",
            "edit",
            "order",
            "restart",
            "infill_min",
            "infill_max",
            "infill_prefix",
            "edit_max",
            "kl",
        )
        _share(where, **{name: getattr(self, name) for name in names})
        for name in ("certainty", "refined", "next_token", "scaffold", "length"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{where}.{name} must be 0 or more")
        _positive(where, draft_decay=self.draft_decay)
        if self.infill_min > self.infill_max:
            raise ConfigError(f"{where}.infill_min is above infill_max")
        if self.edit_max > 0.1:
            raise ConfigError(
                f"{where}.edit_max must be at most 0.1: more edits hide the program they damage"
            )
        if self.edit + self.order >= 1:
            raise ConfigError(f"{where}: edit and order leave no block for draft and infill")
        if self.draft + self.infill <= 0:
            raise ConfigError(f"{where}: draft and infill are both 0; nothing would be trained")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Sample files (`model data answer` writes them), relative to the working directory."""

    train: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A whole run. base: a model name, folder or GGUF. start: a folder of heads to go on from, or ''; what it
    lacks or holds in another shape (a length head with other buckets, say) begins fresh. A
    head whose section is left out: the AR head stays the base itself, the others train with their
    defaults. shared_head: the three roles train one adapter, and so the AR text changes."""

    base: str = "qwen2.5-coder-0.5b"
    start: str = ""
    ar_head: HeadConfig = field(default_factory=lambda: HeadConfig(train=False))
    diffusion_head: HeadConfig = field(default_factory=HeadConfig)
    length_head: LengthConfig = field(default_factory=LengthConfig)
    sequential_head: SequentialConfig = field(default_factory=SequentialConfig)
    shared_head: bool = False
    full_fine_tuning: FullFineTuningConfig = field(default_factory=FullFineTuningConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed_diffusion: SeedDiffusionConfig = field(default_factory=SeedDiffusionConfig)
    objectives: ObjectivesConfig = field(default_factory=ObjectivesConfig)
    data: DataConfig = field(default_factory=DataConfig)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Raises ConfigError naming what is wrong in the file."""
        import yaml

        try:
            raw = yaml.safe_load(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"{path} does not exist; the repository's examples are in configs/") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        try:
            return cls.parse(raw)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, raw: Any) -> TrainConfig:
        """A checked configuration from nested mappings."""
        config = _parse(cls, raw, "")
        for part in fields(config):
            value = getattr(config, part.name)
            if hasattr(value, "check"):
                value.check(part.name)
        training, size = config.training, max(config.seed_diffusion.block_size)
        if any(training.draft_tokens % block for block in config.seed_diffusion.block_size):
            raise ConfigError(f"training.draft_tokens must be a multiple of each block_size ({size})")
        config._check_roles()
        return config

    def _check_roles(self) -> None:
        """What one adapter for all roles, or none, needs of the other sections."""
        heads = (self.ar_head, self.diffusion_head, self.length_head)
        if self.shared_head:
            specs = {(head.train, head.r, head.alpha, head.target_modules) for head in heads}
            if len(specs) > 1 or not heads[0].train or not heads[0].r:
                raise ConfigError(
                    "shared_head: ar_head, diffusion_head and length_head are one adapter; set train to true "
                    "and the same r (above 0), alpha and target_modules in all three"
                )
        if self.full_fine_tuning.train:
            if any(head.train and head.r for head in heads):
                raise ConfigError(
                    "full_fine_tuning trains the base's own weights without adapters: set r to 0 in ar_head, "
                    "diffusion_head and length_head, or train to false"
                )
            if self.training.base_model_quantization != "none":
                raise ConfigError("full_fine_tuning: set training.base_model_quantization to none")
        if self.start and (self.shared_head or self.full_fine_tuning.train):
            raise ConfigError(
                "start: heads of their own cannot become a shared one, nor those of another base"
            )

    @property
    def frozen_text(self) -> bool:
        """Does the AR decoder say after the run what the base says?"""
        return not (self.ar_head.train and self.ar_head.r) and not self.full_fine_tuning.train

    def heads(self) -> HeadsConfig:
        """The heads this run trains."""
        from model import headconfig
        from model.lora import LoraSpec
        from model.roles import Role

        roles = {"ar_head": Role.CLEAN, "diffusion_head": Role.DRAFT, "length_head": Role.LENGTH}
        heads = {}
        for name, role in roles.items():
            head: HeadConfig = getattr(self, name)
            if head.train:
                heads[name] = headconfig.HeadConfig(role, LoraSpec(head.r, head.alpha, head.target_modules))
        length = self.length_head
        return headconfig.HeadsConfig(
            heads,
            self.sequential_head.width,
            length=headconfig.LengthConfig(length.buckets, length.shortest, length.longest),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain = asdict(self)
        plain["data"]["train"] = [str(path) for path in self.data.train]
        return plain


T = TypeVar("T")


def _parse(kind: type[T], raw: Any, where: str) -> T:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where or 'the file'} must be a mapping of keys, not {type(raw).__name__}")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # kind is a dataclass type by construction
    for key in raw:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
            raise ConfigError(f"unknown key {_at(where, str(key))!r}; {hint}")
    values = {key: _value(hints[key], value, _at(where, key)) for key, value in raw.items()}
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _parse(typing.cast("type[Any]", hint), value, where)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value is None and "none" in options:
            return "none"
        if value not in options:
            raise ConfigError(f"{where}: {value!r} is none of {', '.join(map(str, options))}")
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_value(options[0], item, where) for item in items)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is float and isinstance(value, str):
        value = _scientific(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    name = hint.__name__ if isinstance(hint, type) else str(hint)
    raise ConfigError(f"{where}: {value!r} is not of type {name}")


def _scientific(text: str) -> Any:
    """YAML 1.1 reads `1e-4` (no dot) as text; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _positive(where: str, **values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ConfigError(f"{where}.{name} must be above 0")


def _share(where: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{where}.{name} must lie between 0 and 1")

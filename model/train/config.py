"""The configuration of a training run: one YAML file, read strictly.

    config = TrainConfig.read(Path("configs/qwen0.5b-heads.yaml"))

Every key does something or is an error: an unknown key names the nearest known one, a value of the wrong
type or out of range names the key and what is allowed, and a setting this trainer cannot honour is refused
before any work.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from model.train.head_sections import FullFineTuningConfig, HeadConfig, LengthConfig, SequentialConfig
from model.train.onpolicy.config import OnPolicyConfig
from model.train.reading import ConfigError, parse, positive, share
from model.train.stage_sections import ObjectivesConfig, SeedDiffusionConfig

if TYPE_CHECKING:
    from model.headconfig import HeadsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """micro_batch_size: rows a forward, of all processes; gradient_accumulation_steps: forwards a step.
    seconds: stop (and let the learning rate end) after so much time instead of `max_steps`; compiling before
    the first step is not counted.
    decay_start: share of the run after which the rate falls along a cosine to `final_learning_rate` times
    its top. row_tokens: clean tokens a row; draft_tokens: draft tokens a row. device: auto, cpu or cuda.
    base_model_quantization: fp8 asks for a base that is stored so and a GPU that computes with it; none: the
    base as it is stored. adapter_precision: of the heads on disk.
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
        positive(
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
        share(where, decay_start=self.decay_start, final_learning_rate=self.final_learning_rate)
        for name in ("weight_decay", "warmup_steps", "seconds", "draft_vocabulary"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{where}.{name} must be 0 or more")


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
    on_policy: OnPolicyConfig = field(default_factory=OnPolicyConfig)
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
        config = parse(cls, raw, "")
        for part in fields(config):
            value = getattr(config, part.name)
            if hasattr(value, "check"):
                value.check(part.name)
        training, size = config.training, max(config.seed_diffusion.block_size)
        if any(training.draft_tokens % block for block in config.seed_diffusion.block_size):
            raise ConfigError(f"training.draft_tokens must be a multiple of each block_size ({size})")
        config._check_roles()
        config._check_on_policy()
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

    def _check_on_policy(self) -> None:
        if not self.seed_diffusion.on_policy_learning:
            if self.on_policy != OnPolicyConfig():
                raise ConfigError("on_policy: does nothing without seed_diffusion.on_policy_learning: true")
        elif self.on_policy.rows >= self.training.micro_batch_size:
            raise ConfigError("on_policy.rows must be below training.micro_batch_size: they take its place")

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
        plain["on_policy"]["tasks"] = [str(path) for path in self.on_policy.tasks]
        return plain

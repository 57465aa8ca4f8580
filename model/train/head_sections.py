"""The sections of a training configuration that say which parameters are trained."""

from __future__ import annotations

from dataclasses import dataclass

from model.train.reading import ConfigError, positive

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


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
        positive(where, alpha=self.alpha)
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
        positive(where, buckets=self.buckets, shortest=self.shortest)
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
        positive(where, learning_rate=self.learning_rate)

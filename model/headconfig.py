"""The heads file: which LoRA heads there are, what role each has, and the small parts beside them.

`HeadsConfig.read(path)` reads configs/heads-*.yaml; the same mapping is kept in the heads.json of a trained
set.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.errors import WeightsError
from model.lora import LoraSpec
from model.roles import Role

_KEYS = ("heads", "sequential", "length", "router")
_HEAD_KEYS = ("role", "r", "alpha", "target_modules")


@dataclass(frozen=True, slots=True)
class HeadConfig:
    role: Role
    lora: LoraSpec


@dataclass(frozen=True, slots=True)
class LengthConfig:
    """Log-spaced buckets: edge i is the longest answer, in tokens, that falls into bucket i."""

    buckets: int = 24
    shortest: int = 8
    longest: int = 4096

    def edges(self) -> tuple[int, ...]:
        ratio = math.log(self.longest / self.shortest) / max(1, self.buckets - 1)
        return tuple(round(self.shortest * math.exp(ratio * i)) for i in range(self.buckets))


@dataclass(frozen=True, slots=True)
class HeadsConfig:
    """heads: name -> role and LoRA. sequential_width 0: no sequential draft head. policy: static or auto."""

    heads: Mapping[str, HeadConfig]
    sequential_width: int = 1024
    candidates: int = 64
    length: LengthConfig = dataclasses.field(default_factory=LengthConfig)
    policy: str = "static"

    @classmethod
    def read(cls, path: Path) -> HeadsConfig:
        """Raises WeightsError for a file that is missing, no YAML, or says something we do not know."""
        try:
            raw = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise WeightsError(f"no heads config at {path}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise WeightsError(f"{path} is not valid YAML: {error}") from None
        return cls.parse(raw, str(path))

    @classmethod
    def parse(cls, raw: Any, where: str) -> HeadsConfig:
        _check(raw, _KEYS, where)
        if not raw.get("heads"):
            raise WeightsError(f"{where}: `heads` is empty; give at least one")
        heads = {}
        for name, entry in raw["heads"].items():
            _check(entry, _HEAD_KEYS, f"{where}: heads.{name}")
            if not str(name).isidentifier():
                raise WeightsError(f"{where}: head name {name!r} must be letters, digits and underscores")
            try:
                role = Role[str(entry["role"]).upper()]
                lora = LoraSpec(int(entry["r"]), float(entry["alpha"]), tuple(entry["target_modules"]))
            except KeyError as error:
                raise WeightsError(
                    f"{where}: heads.{name} needs role (clean, draft or length), r, alpha, target_modules; "
                    f"{error} is missing or unknown"
                ) from None
            heads[str(name)] = HeadConfig(role, lora)
        sequential = raw.get("sequential") or {}
        _check(sequential, ("width", "candidates"), f"{where}: sequential")
        length = raw.get("length") or {}
        _check(length, ("buckets", "shortest", "longest"), f"{where}: length")
        router = raw.get("router") or {}
        _check(router, ("policy",), f"{where}: router")
        policy = router.get("policy", "static")
        if policy not in ("static", "auto"):
            raise WeightsError(f"{where}: router.policy is {policy!r}; it is static or auto")
        return cls(
            heads,
            int(sequential.get("width", 1024)),
            int(sequential.get("candidates", 64)),
            LengthConfig(**length),
            policy,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "heads": {
                name: {
                    "role": head.role.name.lower(),
                    "r": head.lora.r,
                    "alpha": head.lora.alpha,
                    "target_modules": list(head.lora.targets),
                }
                for name, head in self.heads.items()
            },
            "sequential": {"width": self.sequential_width, "candidates": self.candidates},
            "length": dataclasses.asdict(self.length),
            "router": {"policy": self.policy},
        }

    def of_role(self, role: Role) -> list[str]:
        return [name for name, head in self.heads.items() if head.role == role]


def _check(entry: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(entry, Mapping):
        raise WeightsError(f"{where} must be a mapping with {', '.join(known)}")
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            raise WeightsError(
                f"{where}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )

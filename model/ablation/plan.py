"""The plan of an ablation: a base configuration, arms that change a few of its keys, one budget, one measure.

    base: qwen0.5b-heads.yaml          # beside the plan
    budget: {seconds: 100}             # or {steps: 400}: the same for every arm
    common: {training.save_every: 100} # of every arm
    evaluation: {acceptance: [chat.npz], restore: [chat.npz], block: [32], confidence: [0.9]}
    arms:                              # the first is the baseline
      attention: {}
      mlp: {diffusion_head.target_modules: [q_proj, up_proj]}

Changes are dotted keys or nested mappings. Every arm is parsed as `model train` would before anything runs.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.train.config import TrainConfig
from model.train.reading import ConfigError

_KEYS = ("base", "budget", "common", "evaluation", "arms")
_EVALUATION = ("acceptance", "restore", "block", "confidence", "limit", "own_answers")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_ENDLESS = 1_000_000_000  # steps of a run that the clock ends


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Sample files with greedy answers of the base. block, confidence: as `model acceptance` and `model
    restore` take them; limit: samples of a file at most (0: all). own_answers: drafts are accepted against
    each arm's own greedy answers to the same prompts; without it, only where the AR text changes."""

    acceptance: tuple[Path, ...] = ()
    restore: tuple[Path, ...] = ()
    block: tuple[int, ...] = (32,)
    confidence: tuple[float, ...] = (0.9,)
    limit: int = 0
    own_answers: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """raw: the whole configuration as plain values; config: the same, checked."""

    name: str
    raw: dict[str, Any]
    config: TrainConfig


@dataclass(frozen=True, slots=True)
class Plan:
    budget: str
    evaluation: Evaluation
    arms: tuple[Arm, ...]

    @classmethod
    def read(cls, path: Path, *, device: str = "auto") -> Plan:
        """device: of every arm (auto: as the configurations say). Raises ConfigError naming the file and the
        arm."""
        raw = _load(path)
        _known(raw, _KEYS, str(path))
        for key in ("base", "budget", "arms"):
            if not raw.get(key):
                raise ConfigError(f"{path}: `{key}` is missing")
        base = _load(path.parent / str(raw["base"]))
        if not isinstance(base, dict):
            raise ConfigError(f"{raw['base']} must be a mapping of keys")
        _check_mapping(raw["arms"], f"{path}: arms")
        text, budget = _budget(raw["budget"], f"{path}: budget")
        if device != "auto":
            budget["device"] = device
        arms = []
        for name, changes in raw["arms"].items():
            where = f"{path}: arm {name}"
            if not _NAME.fullmatch(str(name)):
                raise ConfigError(f"{where}: its name is a folder: letters, digits and _ . + - only")
            merged = copy.deepcopy(base)
            for part in (raw.get("common") or {}, changes or {}):
                _check_mapping(part, where)
                _merge(merged, part, where)
            _merge(merged, {"training": budget}, where)
            try:
                arms.append(Arm(str(name), merged, TrainConfig.parse(merged)))
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from error
        return cls(text, _evaluation(raw.get("evaluation") or {}, f"{path}: evaluation"), tuple(arms))

    def require_files(self) -> None:
        """Raises ConfigError for a missing evaluation set; an arm would find out only after training."""
        for path in (*self.evaluation.acceptance, *self.evaluation.restore):
            if not path.is_file():
                raise ConfigError(
                    f"evaluation: {path} is not here; make it with `model data answer --greedy-share 1`, or "
                    "take it out of the plan"
                )

    def chosen(self, names: Sequence[str]) -> list[Arm]:
        """The named arms, all when none is named, in the plan's order. Raises ConfigError for an unknown
        name."""
        known = [arm.name for arm in self.arms]
        for name in names:
            if name not in known:
                raise ConfigError(f"--only: the plan has no arm {name!r}; it has {', '.join(known)}")
        return [arm for arm in self.arms if not names or arm.name in names]


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; plans and configurations are in configs/") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def _budget(raw: Any, where: str) -> tuple[str, dict[str, Any]]:
    """The budget in words, and the keys of `training` that set it."""
    _known(raw, ("seconds", "steps"), where)
    if len(raw) != 1:
        raise ConfigError(f"{where} is either seconds or steps")
    ((kind, value),) = raw.items()
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigError(f"{where}.{kind} must be a number above 0, not {value!r}")
    if kind == "seconds":
        return f"{value:g} s", {"seconds": float(value), "max_steps": _ENDLESS}
    return f"{int(value)} steps", {"seconds": 0.0, "max_steps": int(value)}


def _evaluation(raw: Any, where: str) -> Evaluation:
    _known(raw, _EVALUATION, where)

    def items(key: str, default: Sequence[Any]) -> list[Any]:
        value = raw.get(key, default)
        return list(value) if isinstance(value, list | tuple) else [value]

    try:
        return Evaluation(
            tuple(Path(x) for x in items("acceptance", ())),
            tuple(Path(x) for x in items("restore", ())),
            tuple(int(x) for x in items("block", (32,))),
            tuple(float(x) for x in items("confidence", (0.9,))),
            int(raw.get("limit", 0)),
            bool(raw.get("own_answers", False)),
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _merge(target: dict[str, Any], changes: Mapping[str, Any], where: str) -> None:
    """Put `changes` over `target`, section by section; a dotted key names a value inside sections."""
    for key, value in changes.items():
        section, _, rest = str(key).partition(".")
        if rest:
            _merge(target, {section: {rest: value}}, where)
        elif isinstance(value, Mapping):
            inner = target.setdefault(section, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{where}: {section} is no section of the configuration")
            _merge(inner, value, where)
        else:
            target[section] = value


def _check_mapping(raw: Any, where: str) -> None:
    if not isinstance(raw, Mapping) and raw:
        raise ConfigError(f"{where} must be a mapping of keys, not {type(raw).__name__}")


def _known(raw: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where} must be a mapping with {', '.join(keys)}")
    for key in raw:
        if key not in keys:
            close = difflib.get_close_matches(str(key), keys, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(keys)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")

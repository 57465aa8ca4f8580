"""`BaseConfig`: the shape of a base, read from a Hugging Face config.json.

config = BaseConfig.read(folder, context=65_536)    # beyond the trained positions: YaRN
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import WeightsError
from model.rope import Yarn

FAMILIES = ("qwen2", "qwen3", "qwen3_moe")


@dataclass(frozen=True, slots=True)
class BaseConfig:
    """The fields of a Hugging Face config.json that decide the computation."""

    family: str
    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    eps: float
    tied: bool
    theta: float
    positions: int
    yarn: Yarn | None = None
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    norm_topk: bool = True
    dense_layers: tuple[int, ...] = ()
    eos: tuple[int, ...] = ()

    @property
    def qkv_bias(self) -> bool:
        return self.family == "qwen2"

    @property
    def qk_norm(self) -> bool:
        return self.family != "qwen2"

    @property
    def context(self) -> int:
        """Positions the base can address: the trained ones, or what YaRN stretches them to."""
        return (
            max(self.positions, int(self.yarn.factor * self.yarn.original)) if self.yarn else self.positions
        )

    @classmethod
    def read(cls, folder: Path, context: int | None = None) -> BaseConfig:
        """Read config.json; `context` beyond the trained positions turns YaRN on with the factor it takes.

        Raises WeightsError when the file is missing, damaged or of another family.
        """
        path = folder / "config.json"
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise WeightsError(f"{folder} has no config.json: not a Hugging Face model folder") from None
        except (ValueError, UnicodeDecodeError) as error:
            raise WeightsError(f"{path} is not valid JSON ({error}): pull the model again") from None
        try:
            return cls._parse(raw, context)
        except KeyError as error:
            raise WeightsError(f"{path} lacks {error}: pull the model again") from None

    @classmethod
    def _parse(cls, raw: dict[str, Any], context: int | None) -> BaseConfig:
        family = str(raw.get("model_type"))
        if family not in FAMILIES:
            raise WeightsError(f"model_type {family!r} is not supported: use one of {', '.join(FAMILIES)}")
        if raw.get("use_sliding_window"):
            raise WeightsError("use_sliding_window is true: sliding-window attention is not supported")
        rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        kind = rope.get("rope_type", rope.get("type", "default"))
        positions = int(raw["max_position_embeddings"])
        yarn = None
        if kind == "yarn":
            yarn = Yarn(
                float(rope["factor"]),
                int(rope.get("original_max_position_embeddings") or positions),
                float(rope.get("beta_fast") or 32),
                float(rope.get("beta_slow") or 1),
                rope.get("attention_factor"),
            )
        elif kind != "default":
            raise WeightsError(f"rope type {kind!r} is not supported: default and yarn are")
        if yarn is None and context is not None and context > positions:
            yarn = Yarn(context / positions, positions)
        eos = raw.get("eos_token_id")
        experts = int(raw.get("num_experts") or 0) if family == "qwen3_moe" else 0
        step = int(raw.get("decoder_sparse_step") or 1)
        layers = int(raw["num_hidden_layers"])
        only = set(raw.get("mlp_only_layers") or ())
        return cls(
            family=family,
            vocab=int(raw["vocab_size"]),
            hidden=int(raw["hidden_size"]),
            layers=layers,
            heads=int(raw["num_attention_heads"]),
            kv_heads=int(raw["num_key_value_heads"]),
            head_dim=int(raw.get("head_dim") or raw["hidden_size"] // raw["num_attention_heads"]),
            intermediate=int(raw["intermediate_size"]),
            eps=float(raw["rms_norm_eps"]),
            tied=bool(raw.get("tie_word_embeddings", False)),
            theta=float(rope.get("rope_theta") or raw.get("rope_theta") or 10_000.0),
            positions=positions,
            yarn=yarn,
            experts=experts,
            experts_per_token=int(raw.get("num_experts_per_tok") or 0) if experts else 0,
            expert_intermediate=int(raw.get("moe_intermediate_size") or 0) if experts else 0,
            norm_topk=bool(raw.get("norm_topk_prob", False)),
            dense_layers=tuple(i for i in range(layers) if experts and (i in only or (i + 1) % step)),
            eos=tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),),
        )

"""How much memory a model needs at a context length, and on which GPU it fits. Arithmetic only, no torch.

An estimate: weights as stored, K/V cache in bf16, the three default heads in bf16, one block of float32
logits and the driver's own share. Sizes are bytes, GB are 10^9, a "24 GB" card is taken as 24 * 2^30 bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import WeightsError

GPUS_GB = (24, 32, 40, 48, 80, 96, 128)
# What CUDA, its libraries and the allocator's rounding take beside tensors.
_DRIVER_BYTES = 1_200_000_000
_BLOCK_TOKENS = 128
_HEAD_RANKS = (128, 128, 64)


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides a model's memory. active: parameters a token uses. stretched: longest context with YaRN,
    0 if none.
    """

    parameters: int
    active: int
    weight_bytes: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    stretched: int = 0

    @property
    def kv_bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_dim * 2

    @property
    def heads_bytes(self) -> int:
        """The default LoRA heads on q, k, v and o, in bf16."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        a_rank = 2 * (self.hidden + q) + 2 * (self.hidden + kv)
        return 2 * sum(_HEAD_RANKS) * self.layers * a_rank

    @property
    def longest(self) -> int:
        return max(self.context, self.stretched)

    def needs(self, context: int) -> int:
        """Bytes on a GPU with this many tokens of context."""
        return self._fixed + context * self.kv_bytes_per_token

    def longest_in(self, memory: int) -> int:
        """Tokens of context that fit into this many bytes, at most the model's own; 0 when the weights do
        not.
        """
        room = memory - self._fixed
        return max(0, min(self.longest, room // self.kv_bytes_per_token))

    @property
    def _fixed(self) -> int:
        return self.weight_bytes + self.heads_bytes + 4 * self.vocab * _BLOCK_TOKENS + _DRIVER_BYTES

    @property
    def is_fp8(self) -> bool:
        """Whether most weights are stored in one byte."""
        return self.weight_bytes < 1.5 * self.parameters

    @property
    def dequantised_bytes(self) -> int:
        """Bytes of the weights in bf16, where FP8 is not computed with."""
        return 2 * self.parameters


@dataclass(frozen=True, slots=True)
class Fit:
    """A row of the table: does the model fit a card of `gpu_gb` at the asked context, and which is its
    longest.
    """

    gpu_gb: int
    fits: bool
    longest: int


def table(shape: Shape, context: int) -> list[Fit]:
    """What fits on GPUs of 24 to 128 GB at `context` tokens."""
    rows = []
    for gpu_gb in GPUS_GB:
        memory = gpu_gb * 1024**3
        rows.append(Fit(gpu_gb, shape.needs(context) <= memory, shape.longest_in(memory)))
    return rows


def shape_of(folder: Path) -> Shape:
    """The shape of a model folder, from its config and the headers of its safetensors. Raises
    WeightsError.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads = config["num_attention_heads"]
        numbers = {
            "layers": config["num_hidden_layers"],
            "hidden": config["hidden_size"],
            "heads": heads,
            "kv_heads": config.get("num_key_value_heads") or heads,
            "head_dim": config.get("head_dim") or config["hidden_size"] // heads,
            "vocab": config["vocab_size"],
            "context": config["max_position_embeddings"],
        }
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{folder}/config.json cannot be read ({error}); pull the model again") from error
    parameters = weight_bytes = idle = 0
    experts = config.get("num_experts") or 0
    for name, (count, size) in _tensors(folder).items():
        weight_bytes += size
        if name.endswith("_scale_inv"):
            continue
        parameters += count
        if experts and ".mlp.experts." in name:
            idle += count
    if experts:
        idle = idle * (experts - config["num_experts_per_tok"]) // experts
    stretched = 4 * numbers["context"] if config.get("model_type") == "qwen3_moe" else 0
    return Shape(parameters, parameters - idle, weight_bytes, **numbers, stretched=stretched)


def _tensors(folder: Path) -> dict[str, tuple[int, int]]:
    """{name: (elements, bytes)} of every safetensors file, from the headers alone."""
    found: dict[str, tuple[int, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header: dict[str, Any] = json.loads(file.read(min(size, path.stat().st_size)))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} is damaged ({error}); pull the model again") from error
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            count = 1
            for length in entry["shape"]:
                count *= length
            first, last = entry["data_offsets"]
            found[name] = (count, last - first)
    return found

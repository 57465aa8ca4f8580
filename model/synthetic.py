"""A checkpoint with random weights in the exact format of Qwen3-Coder-30B-A3B-Instruct-FP8.

For tests (few layers, small) and for measuring the 30B's speed and memory on a GPU where its weights cannot
be had: the same configuration, tensor names, types, shapes, blocks, scales and shards. `model quantize
--synthetic` writes it.
"""

from __future__ import annotations

import json
import math
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import fp8, store
from model.tensorfile import Spec, write_shards
from model.tiny import shapes, write_byte_tokenizer

if TYPE_CHECKING:
    import torch

# The public configuration; `quantization_config` is added from the tensors.
CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "decoder_sparse_step": 1,
    "eos_token_id": 151645,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 5472,
    "max_position_embeddings": 262144,
    "max_window_layers": 28,
    "mlp_only_layers": [],
    "model_type": "qwen3_moe",
    "moe_intermediate_size": 768,
    "norm_topk_prob": True,
    "num_attention_heads": 32,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "output_router_logits": False,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000000,
    "router_aux_loss_coef": 0.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_qk_norm": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
# A model of the same make that a test builds in a second; every width is still a number of whole or cut
# blocks.
SMALL: dict[str, Any] = {
    "head_dim": 64,
    "hidden_size": 256,
    "max_position_embeddings": 2048,
    "moe_intermediate_size": 256,
    "num_attention_heads": 4,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "eos_token_id": 258,
}
_POOL_ELEMENTS = 1 << 24


def specs(config: dict[str, Any]) -> list[Spec]:
    """Every tensor of such a checkpoint: quantised ones followed by their scales, the rest in bf16."""
    found = []
    for spec in shapes(config, "BF16"):
        if fp8.quantised_parts(spec.name):
            rows, columns = spec.shape
            found.append(Spec(spec.name, "F8_E4M3", spec.shape))
            blocks = (math.ceil(rows / fp8.BLOCK), math.ceil(columns / fp8.BLOCK))
            found.append(Spec(spec.name + "_scale_inv", "BF16", blocks))
        else:
            found.append(spec)
    return found


def write_synthetic(
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **changes: Any,
) -> Path:
    """Write the checkpoint into `folder` (made when absent). changes: of the configuration, such as
    `num_hidden_layers=4` or `**SMALL`. Raises OSError when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG | changes
    wanted = specs(config)
    config["quantization_config"] = fp8.quantization_config([spec.name for spec in wanted])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_byte_tokenizer(folder)
    total, done, lock = sum(spec.nbytes for spec in wanted), 0, threading.Lock()

    def advance(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            progress(done, total)

    # Hashing and writing are most of the work, and both let other threads run.
    threads = min(8, os.cpu_count() or 1)
    hashes = write_shards(folder, wanted, _Weights(seed).produce, advance, threads=threads)
    store.write_record(folder, {"name": folder.name, "tensors_sha256": store.combined_sha256(hashes)})
    return folder


class _Weights:
    """Random tensors, quickly: FP8 codes are cut from one pool of quantised normal numbers at random
    places. A tensor depends on the seed and its name, not on what was made before it.
    """

    def __init__(self, seed: int) -> None:
        import torch

        self._seed = seed
        # A spread of 100 of at most 448: a block's largest of 16,384 normal numbers is about four spreads.
        pool = torch.randn(_POOL_ELEMENTS, generator=torch.Generator().manual_seed(seed)) * 100
        self._pool = pool.clamp(-fp8.MAX, fp8.MAX).to(torch.float8_e4m3fn)

    def produce(self, spec: Spec) -> Iterator[torch.Tensor]:
        import torch

        generator = torch.Generator().manual_seed(
            (self._seed & 0x7FFFFFFF) << 32 | zlib.crc32(spec.name.encode())
        )
        if spec.dtype == "F8_E4M3":
            yield from self._codes(math.prod(spec.shape), generator)
        elif spec.name.endswith("_scale_inv"):
            # Codes spread by 100; scales that differ from block to block give away a block that got the
            # wrong one.
            fan_in = fp8.BLOCK * spec.shape[1]
            jitter = 0.5 + torch.rand(spec.shape, generator=generator)
            yield (jitter * fan_in**-0.5 / 100).to(torch.bfloat16)
        elif spec.name.endswith("norm.weight"):
            yield (1 + 0.1 * torch.randn(spec.shape, generator=generator)).to(torch.bfloat16)
        else:
            scale = 0.3 if "embed_tokens" in spec.name else spec.shape[-1] ** -0.5
            yield (scale * torch.randn(spec.shape, generator=generator)).to(torch.bfloat16)

    def _codes(self, count: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
        import torch

        while count:
            start = int(torch.randint(_POOL_ELEMENTS, (1,), generator=generator))
            piece = self._pool[start : start + count]
            yield piece
            count -= len(piece)

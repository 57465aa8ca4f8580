"""`tiny`: a random model of the Qwen2, Qwen3 or Qwen3-MoE family that is written in milliseconds, for tests.

It speaks nonsense, but all its parts are real: a folder that transformers loads, a byte-level tokenizer with
the control tokens of the Qwen chat format, free embedding rows for MASK. The same seed gives the same bytes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from model import store
from model.errors import WeightsError
from model.tensorfile import Spec, write
from model.tokenizer import byte_alphabet

if TYPE_CHECKING:
    import torch

Family = Literal["qwen2", "qwen3", "qwen3_moe"]
_ARCHITECTURE = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM"}
NAMES: dict[str, Family] = {"tiny": "qwen2", "tiny-qwen3": "qwen3", "tiny-qwen3-moe": "qwen3_moe"}
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_folder(
    path: Path,
    family: Family = "qwen2",
    seed: int = 0,
    *,
    layers: int = 2,
    hidden: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    intermediate: int = 128,
    rows: int = 320,
    context: int = 512,
    experts: int = 4,
    experts_per_token: int = 2,
    tied: bool | None = None,
) -> Path:
    """Write a random model into the folder `path` (made when absent) and return it.

    rows: of the embedding; 259 tokens are used, so MASK is 259. tied: None ties the dense families as Qwen
    does.
    """
    path.mkdir(parents=True, exist_ok=True)
    tied = family != "qwen3_moe" if tied is None else tied
    config: dict[str, Any] = {
        "architectures": [_ARCHITECTURE[family]],
        "model_type": family,
        "vocab_size": rows,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": hidden // heads,
        "intermediate_size": intermediate,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "tie_word_embeddings": tied,
        "eos_token_id": 258,
        "torch_dtype": "float32",
    }
    if family == "qwen3_moe":
        config |= {
            "num_experts": experts,
            "num_experts_per_tok": experts_per_token,
            "moe_intermediate_size": intermediate // 2,
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    _write_json(path / "config.json", config)
    write_byte_tokenizer(path)
    specs = shapes(config, "F32")
    produce = functools.partial(_random, _generator(seed))
    sha256 = write(path / "model.safetensors", specs, produce)
    store.write_record(path, {"name": path.name, "tensors_sha256": sha256, "tied": tied})
    return path


def write_byte_tokenizer(path: Path) -> None:
    """A tokenizer of the 256 bytes and three control tokens (ids 256 to 258), with chat template and ends."""
    _write_json(
        path / "generation_config.json", {"do_sample": False, "eos_token_id": [258, 256], "pad_token_id": 256}
    )
    _write_json(
        path / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
        },
    )
    (path / "chat_template.jinja").write_text(_CHAT_TEMPLATE, encoding="utf-8")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": 256 + i, "content": name, **flags} for i, name in enumerate(CONTROL)],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": byte_alphabet(), "merges": []},
    }
    _write_json(path / "tokenizer.json", tokenizer)


def shapes(config: dict[str, Any], dtype: str) -> list[Spec]:
    """Every tensor of a checkpoint with this configuration, in the order of its layers."""
    hidden, dim = config["hidden_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * dim, config["num_key_value_heads"] * dim
    family = config["model_type"]
    sizes: list[tuple[str, tuple[int, ...]]] = [("model.embed_tokens.weight", (config["vocab_size"], hidden))]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        sizes.append((prefix + "input_layernorm.weight", (hidden,)))
        for name, out in (("q_proj", q), ("k_proj", kv), ("v_proj", kv)):
            sizes.append((f"{prefix}self_attn.{name}.weight", (out, hidden)))
            if family == "qwen2":
                sizes.append((f"{prefix}self_attn.{name}.bias", (out,)))
        if family != "qwen2":
            sizes += [(f"{prefix}self_attn.{name}.weight", (dim,)) for name in ("q_norm", "k_norm")]
        sizes.append((prefix + "self_attn.o_proj.weight", (hidden, q)))
        sizes.append((prefix + "post_attention_layernorm.weight", (hidden,)))
        if family == "qwen3_moe":
            sizes.append((prefix + "mlp.gate.weight", (config["num_experts"], hidden)))
            for expert in range(config["num_experts"]):
                sizes += _mlp(f"{prefix}mlp.experts.{expert}.", hidden, config["moe_intermediate_size"])
        else:
            sizes += _mlp(prefix + "mlp.", hidden, config["intermediate_size"])
    sizes.append(("model.norm.weight", (hidden,)))
    if not config["tie_word_embeddings"]:
        sizes.append(("lm_head.weight", (config["vocab_size"], hidden)))
    return [Spec(name, dtype, shape) for name, shape in sizes]


def _mlp(prefix: str, hidden: int, width: int) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (prefix + "gate_proj.weight", (width, hidden)),
        (prefix + "up_proj.weight", (width, hidden)),
        (prefix + "down_proj.weight", (hidden, width)),
    ]


def _generator(seed: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed)


def _random(generator: torch.Generator, spec: Spec) -> Iterator[torch.Tensor]:
    """Weights whose states stay of order one and whose logits spread by about 2, so that arg max is no
    tie.
    """
    import torch

    if spec.name.endswith("norm.weight"):
        yield torch.ones(spec.shape)
    elif spec.name.endswith(".bias"):
        yield 0.1 * torch.randn(spec.shape, generator=generator)
    else:
        scale = 0.3 if "embed_tokens" in spec.name or "lm_head" in spec.name else spec.shape[-1] ** -0.5
        yield scale * torch.randn(spec.shape, generator=generator)


def tiny_home(name: str) -> Path:
    """The folder of `tiny`, `tiny-qwen3` or `tiny-qwen3-moe` in the data folder, written when it is not
    there.
    """
    if name not in NAMES:
        raise WeightsError(f"no model {name!r}; the random ones are {', '.join(NAMES)}")
    return _tiny_home(store.models_folder(), name)


@functools.lru_cache
def _tiny_home(models: Path, name: str) -> Path:
    folder = models / name
    if not store.is_pulled(name):
        with store.replacing(folder) as work:
            tiny_folder(work, NAMES[name])
            store.write_record(work, {**store.record(work), "name": name})
    return folder


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

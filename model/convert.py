"""Turns a GGUF file into a Hugging Face style folder: bf16 safetensors, config, tokenizer, chat template.

A trap of the published files is mended here (model.gguf_tokenizer mends another): they hold two quantisations
of one tied matrix (`output.weight` finer than `token_embd.weight`). The finer one serves as both.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import WeightsError
from model.gguf import Entry, GGUFFile
from model.gguf_tokenizer import tokenizer_config, write_tokenizer
from model.tensorfile import Spec, write

if TYPE_CHECKING:
    import torch

# One matrix quantised twice differs by a few percent (Q5_0 against Q8_0: 4.5 %); two matrices differ by over
# 100 %.
_TIED_BELOW = 0.2

_GLOBAL = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_v.bias": "self_attn.v_proj.bias",
    "attn_output.weight": "self_attn.o_proj.weight",
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
    "ffn_gate_inp.weight": "mlp.gate.weight",
}
_EXPERTS = {
    "ffn_gate_exps.weight": "gate_proj",
    "ffn_up_exps.weight": "up_proj",
    "ffn_down_exps.weight": "down_proj",
}
_ARCHITECTURES = {
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "qwen3moe": ("qwen3_moe", "Qwen3MoeForCausalLM"),
}


def convert(
    source: Path, folder: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Write config, tokenizer and `model.safetensors` of `source` into `folder` (which exists) and return
    what was made, for the folder's record. progress is told (bytes written, bytes in all).

    Raises WeightsError when the file is damaged or of a family that is not supported, OSError when the disk
    is full.
    """
    from model.tokenizer import Tokenizer

    with GGUFFile(source) as gguf:
        config = _config(gguf)
        embedding, head = _embeddings(gguf)
        config["tie_word_embeddings"] = head is None
        _write_json(folder / "config.json", config)
        _write_json(folder / "generation_config.json", _generation_config(gguf))
        write_tokenizer(gguf, folder)
        _write_json(
            folder / "tokenizer_config.json", tokenizer_config(gguf, config["max_position_embeddings"])
        )
        parts = _plan(gguf, embedding, head)
        total = sum(spec.nbytes for spec in parts)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        sha256 = write(folder / "model.safetensors", list(parts), lambda spec: parts[spec](), advance)
    return {
        "tensors_sha256": sha256,
        "tokenizer_sha256": Tokenizer(folder).sha256,
        "parameters": total // 2,
        "tied": head is None,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _config(gguf: GGUFFile) -> dict[str, Any]:
    meta = gguf.metadata
    arch = meta.get("general.architecture")
    if arch not in _ARCHITECTURES:
        raise WeightsError(
            f"{gguf.path}: architecture {arch!r} is not supported; use one of Qwen2, Qwen3, Qwen3-MoE"
        )
    model_type, class_name = _ARCHITECTURES[arch]

    def value(key: str, default: Any = None) -> Any:
        found = meta.get(f"{arch}.{key}", default)
        if found is None:
            raise WeightsError(f"{gguf.path}: the header lacks {arch}.{key}; pull or copy the file again")
        return found

    heads = value("attention.head_count")
    width = value("embedding_length")
    config: dict[str, Any] = {
        "architectures": [class_name],
        "model_type": model_type,
        "vocab_size": _need(gguf, "token_embd.weight").shape[0],
        "hidden_size": width,
        "num_hidden_layers": value("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": value("attention.head_count_kv", heads),
        "intermediate_size": value("feed_forward_length", 0),
        "max_position_embeddings": value("context_length"),
        "rms_norm_eps": _short(value("attention.layer_norm_rms_epsilon")),
        "rope_theta": _short(value("rope.freq_base", 10000.0)),
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "bos_token_id": meta.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": meta.get("tokenizer.ggml.eos_token_id"),
        "torch_dtype": "bfloat16",
    }
    if arch != "qwen2":
        config["head_dim"] = value("attention.key_length", width // heads)
        config["attention_bias"] = False
    if arch == "qwen3moe":
        config |= {
            "num_experts": value("expert_count"),
            "num_experts_per_tok": value("expert_used_count"),
            "moe_intermediate_size": value("expert_feed_forward_length"),
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    return config


def _short(value: float) -> float:
    """The float32 of the file as the decimal it was written from (1e-06, not 9.99999997e-07)."""
    import numpy as np

    return float(str(np.float32(value)))


def _generation_config(gguf: GGUFFile) -> dict[str, Any]:
    """Ends at the turn's end or the document's end; sampling settings are the request's, not the file's."""
    meta = gguf.metadata
    eos, pad = meta.get("tokenizer.ggml.eos_token_id"), meta.get("tokenizer.ggml.padding_token_id")
    ends = [token for token in (eos, pad) if token is not None]
    return {"do_sample": False, "eos_token_id": list(dict.fromkeys(ends)), "pad_token_id": pad}


def _embeddings(gguf: GGUFFile) -> tuple[Entry, Entry | None]:
    """(embedding, output head); the head is None when it is tied, and the embedding then the finer of the
    copies.
    """
    import torch

    embedding, head = _need(gguf, "token_embd.weight"), gguf.tensors.get("output.weight")
    if head is None:
        return embedding, None
    if head.shape != embedding.shape:
        return embedding, head
    e_VD = next(gguf.pieces(embedding, torch.float32))
    h_VD = next(gguf.pieces(head, torch.float32))
    if float((e_VD - h_VD).norm() / h_VD.norm()) > _TIED_BELOW:
        return embedding, head
    return max(embedding, head, key=lambda entry: entry.bits_per_weight), None


def _plan(
    gguf: GGUFFile, embedding: Entry, head: Entry | None
) -> dict[Spec, Callable[[], Iterable[torch.Tensor]]]:
    """What to write, in the order of the layers, and how to make each tensor."""
    import torch

    dtype = torch.bfloat16
    plan: dict[Spec, Callable[[], Iterable[torch.Tensor]]] = {}

    def add(name: str, entry: Entry) -> None:
        plan[Spec(name, "BF16", entry.shape)] = functools.partial(gguf.pieces, entry, dtype)

    add("model.embed_tokens.weight", embedding)
    pattern = re.compile(r"blk\.(\d+)\.(.+)")
    layers: dict[int, list[tuple[str, Entry]]] = {}
    for name, entry in gguf.tensors.items():
        match = pattern.fullmatch(name)
        if match:
            layers.setdefault(int(match[1]), []).append((match[2], entry))
        elif name not in _GLOBAL:
            raise WeightsError(f"{gguf.path}: unknown tensor {name}")
    for layer in sorted(layers):
        for part, entry in sorted(layers[layer], key=lambda item: item[0]):
            prefix = f"model.layers.{layer}."
            if part in _LAYER:
                add(prefix + _LAYER[part], entry)
            elif part in _EXPERTS:
                _add_experts(plan, gguf, entry, prefix, _EXPERTS[part])
            else:
                raise WeightsError(f"{gguf.path}: unknown tensor {entry.name}")
    add("model.norm.weight", _need(gguf, "output_norm.weight"))
    if head is not None:
        add("lm_head.weight", head)
    return plan


def _add_experts(
    plan: dict[Spec, Callable[[], Iterable[torch.Tensor]]],
    gguf: GGUFFile,
    entry: Entry,
    prefix: str,
    projection: str,
) -> None:
    """One [experts, out, in] tensor of the file becomes a tensor an expert."""
    import torch

    experts, out, width = entry.shape
    size = entry.nbytes // experts
    for expert in range(experts):
        part = Entry(entry.name, (out, width), entry.qtype, entry.offset + expert * size, size)
        name = f"{prefix}mlp.experts.{expert}.{projection}.weight"
        plan[Spec(name, "BF16", part.shape)] = functools.partial(gguf.pieces, part, torch.bfloat16)


def _need(gguf: GGUFFile, name: str) -> Entry:
    entry = gguf.tensors.get(name)
    if entry is None:
        raise WeightsError(f"{gguf.path} has no {name}; pull or copy the file again")
    return entry

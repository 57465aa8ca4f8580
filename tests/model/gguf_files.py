"""Small GGUF files for tests, written by the `gguf` package from random tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

from model.tiny import tiny_folder

_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate.weight": "ffn_gate_inp.weight",
}
PAD_ROWS = 3
MASK_ID = 261


def write_gguf(
    path: Path, family: str = "qwen2", *, seed: int = 0, quantise: bool = True
) -> dict[str, np.ndarray]:
    """A GGUF of a tiny model, as the published files are made: vocabulary padded, the tied head stored apart.

    Returns the float32 tensors under their Hugging Face names, before quantisation.
    """
    folder = tiny_folder(path.with_suffix(".folder"), family, seed, rows=MASK_ID + PAD_ROWS)  # type: ignore[arg-type]  # a plain str in tests
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    arch = {"qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe"}[family]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(config["head_dim"])
    if family == "qwen3_moe":
        writer.add_expert_count(config["num_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokens = [token for token, _ in sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])]
    tokens += ["ab", "abc"]
    types = [1] * len(tokens) + [3] * 3 + [5] * PAD_ROWS
    tokens += [token["content"] for token in tokenizer["added_tokens"]]
    tokens += [f"[PAD{MASK_ID + i}]" for i in range(PAD_ROWS)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["a b", "ab c"])
    writer.add_eos_token_id(260)
    writer.add_pad_token_id(258)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
    experts: dict[str, list[np.ndarray]] = {}
    for name, value in weights.items():
        if ".experts." in name:
            prefix, rest = name.split(".mlp.experts.")
            kind = rest.split(".")[1].removesuffix("_proj")
            experts.setdefault(f"blk.{prefix.split('.')[-1]}.ffn_{kind}_exps.weight", []).append(value)
        else:
            _add(writer, _gguf_name(name), value, quantise)
    for name, values in experts.items():
        _add(writer, name, np.stack(values), quantise)
    if "lm_head.weight" not in weights:
        _add(
            writer,
            "output.weight",
            weights["model.embed_tokens.weight"],
            quantise,
            gguf.GGMLQuantizationType.Q8_0,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _gguf_name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    for ours, theirs in _NAMES.items():
        if rest.startswith(ours):
            return f"blk.{layer}.{theirs}{rest[len(ours) :]}"
    raise KeyError(name)


def _add(
    writer: gguf.GGUFWriter,
    name: str,
    value: np.ndarray,
    quantise: bool,
    qtype: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q5_0,
) -> None:
    if quantise and value.ndim >= 2:
        writer.add_tensor(name, gguf.quants.quantize(value, qtype), raw_dtype=qtype)
    else:
        writer.add_tensor(name, value)

"""Going on from trained heads: take over every part of the same shape, and name those that begin fresh."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from model.base import Base
from model.headconfig import HeadsConfig
from model.heads import HeadSet, read_record
from model.lora import adapters


@torch.no_grad()
def take_over(heads: HeadSet, base: Base, folder: Path) -> list[str]:
    """Copy what `folder` (checked before: `model.heads.check_folder`) holds into freshly made heads. Returns
    the parts that stay fresh: LoRA heads it lacks or has with another rank or targets, and small parts
    (`length`, `sequential`, ...) whose tensors differ in shape."""
    theirs = HeadsConfig.parse(read_record(folder)["config"], str(folder)).heads
    fresh = []
    for name, head in heads.config.heads.items():
        if theirs.get(name) != head:
            fresh.append(name)
            continue
        if not head.lora.r:
            continue
        saved = load_file(folder / name / "adapter_model.safetensors")
        for where, adapter, part in adapters(base, name):
            adapter.down(part).copy_(saved[f"base_model.model.{where}.lora_A.weight"])
            adapter.b[part].copy_(saved[f"base_model.model.{where}.lora_B.weight"])
    extras = load_file(folder / "extras.safetensors")
    if "draft_vocab" in extras:
        heads.draft_vocab = extras.pop("draft_vocab").to(heads.mask.device, torch.int64)
    mine = {key: value for key, value in heads.state_dict().items() if key != "draft_vocab"}
    parts: dict[str, list[str]] = {}
    for key in mine:
        parts.setdefault(key.split(".")[0], []).append(key)
    for part, keys in parts.items():
        if all(key in extras and extras[key].shape == mine[key].shape for key in keys):
            for key in keys:
                mine[key].copy_(extras[key])
        else:
            fresh.append(part)
    return fresh

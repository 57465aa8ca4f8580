"""Reads a Hugging Face safetensors folder into a `Base`, tensor by tensor, straight into the fused layout;
writes one.

Peak memory is the model plus one tensor. Block-quantised FP8 checkpoints (weight + weight_scale_inv) are
dequantised on the way in through model.fp8, unless their owner keeps them as they are.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from model import store
from model.base import MLP, Base
from model.errors import WeightsError
from model.experts import Experts
from model.projection import DenseProjection
from model.quantised import Fp8Experts, Fp8Projection, keep_fp8
from model.rope import rope_table


class Tensors:
    """All tensors of a folder by name, whichever shard holds them."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
        if not files:
            raise WeightsError(f"{folder} holds no *.safetensors: convert or pull the model first")
        index = folder / "model.safetensors.index.json"
        if index.exists():
            wanted = set(json.loads(index.read_text())["weight_map"].values())
            lost = wanted - {f.name for f in files}
            if lost:
                raise WeightsError(f"{folder} lacks {', '.join(sorted(lost))}: pull the model again")
        self.folder = folder
        try:
            self._open: list[Any] = [safe_open(f, framework="pt") for f in files]
        except (SafetensorError, OSError) as error:
            raise WeightsError(
                f"cannot read the weights in {folder} ({error}): pull the model again"
            ) from None
        self._where: dict[str, Any] = {name: f for f in self._open for name in f.keys()}  # noqa: SIM118 - no dict

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def names(self) -> list[str]:
        return sorted(self._where)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._where[name].get_slice(name).get_shape())

    def ends(self, name: str, count: int) -> tuple[str, tuple[int, ...], list[torch.Tensor]]:
        """Type, shape, and the leading and trailing rows that hold at least `count` values each."""
        part = self._where[name].get_slice(name)
        shape = tuple(part.get_shape())
        rows = max(1, -(-count // max(1, math.prod(shape[1:]))))
        return (
            str(part.get_dtype()),
            shape,
            [part[:rows].flatten(), part[max(0, shape[0] - rows) :].flatten()],
        )

    def in_fp8(self, modules: list[str]) -> bool:
        """Are the weights of all these modules stored in FP8 with their scales?"""
        return all(
            f"{module}.weight_scale_inv" in self._where
            and str(self._where[f"{module}.weight"].get_slice(f"{module}.weight").get_dtype()) == "F8_E4M3"
            for module in modules
        )

    def stored(self, name: str) -> torch.Tensor:
        """The tensor as it is stored."""
        if name not in self._where:
            raise WeightsError(f"{self.folder} lacks the tensor {name}: pull the model again")
        tensor: torch.Tensor = self._where[name].get_tensor(name)
        return tensor

    def get(self, name: str) -> torch.Tensor:
        """The tensor; dequantised where it is block-quantised."""
        tensor = self.stored(name)
        scale = name + "_scale_inv"
        if scale in self._where:
            from model.fp8 import dequantise

            tensor = dequantise(tensor, self._where[scale].get_tensor(scale))
        elif tensor.dtype == torch.float8_e4m3fn:
            raise WeightsError(
                f"{self.folder}: {name} is FP8 and its scales are missing: pull the model again"
            )
        return tensor


Slot = tuple[nn.Module, str, tuple[int, ...], list[str]]


def slots(base: Base) -> Iterator[Slot]:
    """(owner, parameter, shape, names): the checkpoint tensors that, stacked along rows, make each
    parameter.
    """
    config = base.config

    def simple(owner: nn.Module, attribute: str, name: str) -> Slot:
        return owner, attribute, tuple(getattr(owner, attribute).shape), [name]

    def matrix(owner: nn.Module, attribute: str, scale: str, names: list[str]) -> Iterator[Slot]:
        yield owner, attribute, tuple(getattr(owner, attribute).shape), names
        if isinstance(owner, Fp8Projection | Fp8Experts):
            yield owner, scale, tuple(getattr(owner, scale).shape), [f"{n}_scale_inv" for n in names]

    def fused(projection: nn.Module, prefix: str) -> Iterator[Slot]:
        assert isinstance(projection, DenseProjection | Fp8Projection)
        names = [f"{prefix}.{part}" for part in projection.parts]
        yield from matrix(projection, "weight", "scale", [f"{n}.weight" for n in names])
        if projection.bias is not None:
            yield projection, "bias", tuple(projection.bias.shape), [f"{n}.bias" for n in names]

    yield simple(base, "embedding", "model.embed_tokens.weight")
    yield simple(base.norm, "weight", "model.norm.weight")
    if not config.tied:
        yield simple(base.head, "weight", "lm_head.weight")
    for i, layer in enumerate(base.layers):
        prefix = f"model.layers.{i}"
        yield simple(layer.input_norm, "weight", f"{prefix}.input_layernorm.weight")
        yield simple(layer.post_norm, "weight", f"{prefix}.post_attention_layernorm.weight")
        yield from fused(layer.qkv, f"{prefix}.self_attn")
        yield from fused(layer.o, f"{prefix}.self_attn")
        if layer.q_norm is not None and layer.k_norm is not None:
            yield simple(layer.q_norm, "weight", f"{prefix}.self_attn.q_norm.weight")
            yield simple(layer.k_norm, "weight", f"{prefix}.self_attn.k_norm.weight")
        if isinstance(layer.mlp, MLP):
            yield from fused(layer.mlp.gate_up, f"{prefix}.mlp")
            yield from fused(layer.mlp.down, f"{prefix}.mlp")
        else:
            assert isinstance(layer.mlp, Experts)
            yield simple(layer.mlp, "router", f"{prefix}.mlp.gate.weight")
            experts = [f"{prefix}.mlp.experts.{e}" for e in range(config.experts)]
            both = [f"{e}.{p}.weight" for e in experts for p in ("gate_proj", "up_proj")]
            yield from matrix(layer.mlp, "gate_up", "gate_up_scale", both)
            yield from matrix(layer.mlp, "down", "down_scale", [f"{e}.down_proj.weight" for e in experts])


def read_into(
    base: Base,
    folder: Path,
    *,
    dtype: torch.dtype,
    device: torch.device,
    fp8: bool = False,
    on_tensor: Callable[[str], None] | None = None,
) -> None:
    """Fill a Base that was built on the meta device. fp8: what is stored in FP8 stays so. Raises
    WeightsError for a missing tensor or a wrong shape.
    """
    tensors = Tensors(folder)
    if fp8:
        keep_fp8(base, tensors)
    for owner, attribute, shape, names in slots(base):
        quantised = isinstance(owner, Fp8Projection | Fp8Experts) and attribute not in ("bias", "router")
        kind = getattr(owner, attribute).dtype if quantised else dtype
        full = torch.empty(shape, dtype=kind, device=device)
        if len(shape) > 1:
            full = full.flatten(0, -2)
        row = 0
        for name in names:
            tensor = tensors.stored(name) if quantised else tensors.get(name)
            rows = tensor.shape[0]
            if row + rows > full.shape[0] or tensor.shape[1:] != full.shape[1:]:
                raise WeightsError(f"{name} is {tuple(tensor.shape)}, config.json asks for {shape}")
            full[row : row + rows].copy_(tensor)
            row += rows
            if on_tensor is not None:
                on_tensor(name)
        if row != full.shape[0]:
            raise WeightsError(f"{names[0]} has {row} rows, config.json asks for {full.shape[0]}")
        setattr(owner, attribute, nn.Parameter(full.view(shape), requires_grad=False))
    if base.config.tied:
        base.head.weight = base.embedding
    inverse, _ = rope_table(base.config.head_dim, base.config.theta, base.config.yarn)
    base.register_buffer("inverse_frequency", inverse.to(device), persistent=False)


def write_folder(base: Base, like: Path, folder: Path) -> None:
    """Write an unquantised base without adapters as a model folder: tensors named and cut as in the folder
    `like` that it was read from, tokenizer and configuration copied from there."""
    folder.mkdir(parents=True, exist_ok=True)
    names_of = Tensors(like)
    out: dict[str, torch.Tensor] = {}
    for owner, attribute, _, names in slots(base):
        full = getattr(owner, attribute).detach()
        rows = full.flatten(0, -2) if full.dim() > 1 else full
        parts = rows.split([names_of.shape(name)[0] for name in names])
        out.update((name, part.clone().cpu()) for name, part in zip(names, parts, strict=True))
    save_file(out, folder / "model.safetensors", metadata={"format": "pt"})
    for file in like.iterdir():
        if file.is_file() and file.name != store.RECORD and ".safetensors" not in file.name:
            shutil.copyfile(file, folder / file.name)


def base_sha256(folder: Path) -> str:
    """A fingerprint of the weights that does not depend on how files shard them.

    It covers every tensor's name, shape, type and its leading and trailing rows (4,096 values or more): a
    few megabytes are read. Heads carry it, so that they are not mounted on another base.
    """
    tensors = Tensors(folder)
    digest = hashlib.sha256()
    for name in tensors.names():
        dtype, shape, ends = tensors.ends(name, 4096)
        digest.update(f"{name} {dtype} {shape}\n".encode())
        for values in ends:
            digest.update(values.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

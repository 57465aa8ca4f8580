"""Block-quantised FP8 weights: float8_e4m3fn with one scale for each 128x128 block, as the Qwen3 FP8
checkpoints.

`X.weight` [out, in] has beside it `X.weight_scale_inv` [ceil(out/128), ceil(in/128)]; the weight is their
product. Activations are quantised as they come (dynamic), one scale for each token and 128 channels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from model.errors import WeightsError
from model.projection import rows_linear

BLOCK = 128
# Largest finite value of float8_e4m3fn.
MAX = 448.0


def quantise(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """weight [out, in] -> (float8_e4m3fn [out, in], scales bf16 [ceil(out/128), ceil(in/128)]).

    The scale is rounded to bf16 first and the weight divided by what is stored, so rounding it costs nothing.
    Raises WeightsError when the weight is not finite.
    """
    rows, columns = weight.shape
    padded = F.pad(weight.float(), (0, -columns % BLOCK, 0, -rows % BLOCK))
    blocks = padded.view(padded.shape[0] // BLOCK, BLOCK, padded.shape[1] // BLOCK, BLOCK)
    largest = blocks.abs().amax(dim=(1, 3))
    if not bool(torch.isfinite(largest).all()):
        raise WeightsError("a weight is infinite or not a number; it cannot be quantised")
    scale = torch.where(largest > 0, largest / MAX, torch.ones_like(largest)).to(torch.bfloat16)
    scaled = (blocks / scale.float()[:, None, :, None]).clamp(-MAX, MAX)
    return scaled.view(padded.shape)[:rows, :columns].to(torch.float8_e4m3fn).contiguous(), scale


def dequantise(
    weight: torch.Tensor, scale_inv: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """weight float8_e4m3fn [..., out, in] and its scales [..., ceil(out/128), ceil(in/128)] -> dtype [...,
    out, in].

    Raises WeightsError when the shapes do not belong together.
    """
    rows, columns = weight.shape[-2:]
    due = (*weight.shape[:-2], -(-rows // BLOCK), -(-columns // BLOCK))
    if tuple(scale_inv.shape) != due:
        raise WeightsError(
            f"FP8 scales of shape {tuple(scale_inv.shape)} beside a weight {tuple(weight.shape)}"
        )
    scale = scale_inv.float().repeat_interleave(BLOCK, -2)[..., :rows, :]
    scale = scale.repeat_interleave(BLOCK, -1)[..., :columns]
    return (weight.float() * scale).to(dtype)


def quantise_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x [..., channels] -> (float8_e4m3fn codes, padded to whole groups of 128 channels; float32 scale of
    each group [..., groups]).
    """
    padded = F.pad(x.float(), (0, -x.shape[-1] % BLOCK))
    groups = padded.view(*padded.shape[:-1], -1, BLOCK)
    largest = groups.abs().amax(-1, keepdim=True).clamp(min=1e-12)
    # By a tensor: torch divides by a number as a product with its inverse on a GPU, the kernels do not.
    scale = largest / torch.full_like(largest, MAX)
    return (groups / scale).to(torch.float8_e4m3fn).view(padded.shape), scale[..., 0]


def through_fp8(x: torch.Tensor) -> torch.Tensor:
    """x [..., channels] as an FP8 matmul sees it: each token's groups of 128 channels rounded to
    float8_e4m3fn.
    """
    codes, scale = quantise_rows(x)
    groups = codes.float().view(*scale.shape, BLOCK) * scale[..., None]
    return groups.view(codes.shape)[..., : x.shape[-1]].to(x.dtype)


def linear(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """x [..., in] times a block-scaled weight [out, in], both in FP8, summed in float32; in x's dtype. The
    reference of model.kernels.fp8_linear.
    """
    codes, x_scale = quantise_rows(x)
    wide = (codes.float().view(*x_scale.shape, BLOCK) * x_scale[..., None]).view(-1, codes.shape[-1])
    y = rows_linear(wide[:, : x.shape[-1]], dequantise(weight, scale))
    y = (y if bias is None else y + bias.float()).to(x.dtype)
    return y.view(*x.shape[:-1], -1)


def quantised_parts(name: str) -> bool:
    """Whether the format quantises this tensor: the projections of attention and MLP, experts among them."""
    return name.startswith("model.layers.") and name.endswith("_proj.weight")


def quantization_config(names: list[str]) -> dict[str, Any]:
    """The config entry of a checkpoint with these tensors."""
    kept = sorted({name.removesuffix(".weight") for name in names if _is_kept_module(name)}, key=_layer_order)
    return {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "modules_to_not_convert": kept,
        "quant_method": "fp8",
        "weight_block_size": [BLOCK, BLOCK],
    }


def _is_kept_module(name: str) -> bool:
    """The output head, every layer norm of a layer and every router; other modules are not of the kind to
    convert.
    """
    if name == "lm_head.weight":
        return True
    return name.startswith("model.layers.") and name.endswith(("layernorm.weight", "mlp.gate.weight"))


def _layer_order(name: str) -> tuple[int, str]:
    parts = name.split(".")
    return (int(parts[2]) if len(parts) > 2 else -1, name)


def is_fp8(folder: Path) -> bool:
    """Whether the folder's checkpoint is block-quantised FP8. Raises WeightsError for any other
    quantisation.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}/config.json cannot be read ({error}); pull the model again") from error
    found = config.get("quantization_config")
    if found is None:
        return False
    block = found.get("weight_block_size")
    if found.get("quant_method") != "fp8" or block != [BLOCK, BLOCK]:
        raise WeightsError(
            f"{folder} is quantised as {found.get('quant_method')!r}, blocks {block}; only fp8 with blocks"
            f" {[BLOCK, BLOCK]} is supported"
        )
    return True


def has_fp8_units(device: torch.device) -> bool:
    """Whether the device multiplies FP8 matrices (NVIDIA from compute capability 8.9)."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)

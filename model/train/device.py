"""The device of a run, and what to lower when its memory is full."""

from __future__ import annotations

from pathlib import Path

import torch

from model.fp8 import is_fp8
from model.train.config import TrainConfig
from model.train.reading import ConfigError


def pick_device(config: TrainConfig) -> torch.device:
    """Raises ConfigError when the configuration needs a GPU and there is none."""
    have = torch.cuda.is_available()
    training = config.training
    if not have and (training.device == "cuda" or training.base_model_quantization == "fp8"):
        asked = (
            "training.device: cuda" if training.device == "cuda" else "training.base_model_quantization: fp8"
        )
        raise ConfigError(
            f"{asked} needs an NVIDIA GPU, and this machine shows none; run it there or change the key"
        )
    return torch.device("cuda" if have and training.device != "cpu" else "cpu")


def check_quantization(config: TrainConfig, base: Path) -> None:
    """Raises ConfigError where FP8 is asked for and the base folder holds other weights."""
    if config.training.base_model_quantization == "fp8" and not is_fp8(base):
        raise ConfigError(
            f"training.base_model_quantization: fp8, and {config.base} is not stored in FP8; write a copy "
            "that is with `model quantize`, or set it to none (the base as it is stored)"
        )


def out_of_memory(config: TrainConfig, device: torch.device) -> str:
    training = config.training
    total = torch.cuda.get_device_properties(device).total_memory / 2**30 if device.type == "cuda" else 0.0
    rows = training.micro_batch_size
    if rows > 1:
        advice = (
            f"lower training.micro_batch_size from {rows} to {rows // 2} and raise "
            f"gradient_accumulation_steps to {2 * training.gradient_accumulation_steps}"
        )
    elif not training.gradient_checkpointing:
        advice = "set training.gradient_checkpointing to true"
    else:
        advice = f"lower training.draft_tokens from {training.draft_tokens} to {training.draft_tokens // 2}"
    return f"out of memory ({total:.0f} GiB on this GPU): {advice}; the run resumes from its last checkpoint"

"""What a checkpoint holds of a run, and the run set back to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from model.train import checkpoint
from model.train.config import TrainConfig
from model.train.processes import full, like

if TYPE_CHECKING:
    from model.train.trainer import Trainer


def of(trainer: Trainer) -> dict[str, Any]:
    """Whole tensors, so that it loads on any number of processes. Every process must call it."""
    optimizer = trainer.optimizer.state_dict()
    for moments in optimizer["state"].values():
        moments.update({name: full(value) for name, value in moments.items()})
    return {
        "step": trainer.step,
        "elapsed": trainer.elapsed,
        "base_sha256": trainer.base_sha256,
        "identity": identity(trainer.config),
        "parameters": {name: full(p.detach()) for name, p in trainer.parameters.items()},
        "optimizer": optimizer,
        "draft_vocab": trainer.heads.draft_vocab,
    }


def restore(trainer: Trainer, path: Path) -> None:
    """Set the run back to a checkpoint. Raises CheckpointError: damaged, of another base or another
    configuration."""
    state = checkpoint.load(path, trainer.device)
    if state["base_sha256"] != trainer.base_sha256:
        raise checkpoint.CheckpointError(
            f"{path} was trained on another base; give this run a folder of its own"
        )
    if state["identity"] != identity(trainer.config):
        raise checkpoint.CheckpointError(
            f"{path} was made with another configuration; resume with {trainer.run / 'config.json'} "
            "or give this run a folder of its own"
        )
    with torch.no_grad():
        for name, parameter in trainer.parameters.items():
            parameter.copy_(like(state["parameters"][name], parameter))
    for parameter, moments in zip(
        trainer.parameters.values(), state["optimizer"]["state"].values(), strict=False
    ):
        moments.update({name: like(value, parameter) for name, value in moments.items()})
    trainer.optimizer.load_state_dict(state["optimizer"])
    if trainer.masters is not None:
        trainer.masters.write_back()
    trainer.heads.draft_vocab = state["draft_vocab"]
    trainer.forward.use_vocabulary()
    trainer.step, trainer.elapsed = state["step"], state["elapsed"]


def identity(config: TrainConfig) -> str:
    """What must not change between the parts of a run: all but how long it goes on and where it logs."""
    plain = config.as_dict()
    for key in ("max_steps", "seconds", "log_every", "save_every", "device", "compile", "distributed"):
        plain["training"].pop(key)
    return json.dumps(plain, sort_keys=True)

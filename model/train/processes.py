"""One process or many: who takes which rows, and what the processes tell each other.

    processes = Processes.of(config)             # reads what torchrun or `accelerate launch` sets
    model, optimizer = processes.prepare(model, optimizer)

Every process makes the same global batch and takes its own rows of it, so batch and noise do not depend on
how many there are. Losses are means over the global batch: their denominators are averaged over the
processes before they are used, and averaging gradients then gives the gradient of one process. DDP and FSDP2
come from `accelerate`. With FSDP2 the frozen base and the adapters are sharded layer by layer; a layer's
group holds frozen bf16 and trained float32 side by side, which FSDP2 allows as long as the trained share one
type (`fully_shard` in torch's documentation).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import distributed, nn

from model.errors import ModelError
from model.train.config import TrainConfig
from model.train.reading import ConfigError


class ProcessError(ModelError):
    """Another process of the run has died or cannot be reached."""


class Processes:
    """rank: of this process among `world`; device: its own."""

    def __init__(self, rank: int, world: int, device: torch.device, accelerator: Any = None) -> None:
        self.rank, self.world, self.device, self.accelerator = rank, world, device, accelerator
        self._clock: Any = distributed.new_group(backend="gloo") if world > 1 else None

    @classmethod
    def of(cls, config: TrainConfig, device: torch.device) -> Processes:
        """Raises ConfigError: FSDP2 with one process, or rows that the processes cannot share evenly."""
        training, world = config.training, launched()
        if world == 1:
            if training.distributed == "fsdp2":
                raise ConfigError(
                    "training.distributed: fsdp2 shards over several processes, and this is one; start it "
                    "with `torchrun --nproc-per-node N -m model.cli train ...`, or set it to auto"
                )
            return cls(0, 1, device)
        if config.full_fine_tuning.train:
            raise ConfigError("full_fine_tuning runs in one process; start it without torchrun")
        if training.micro_batch_size % world:
            raise ConfigError(
                f"training.micro_batch_size {training.micro_batch_size} counts the rows of all processes, "
                f"and {world} processes cannot share them evenly; make it a multiple of {world}"
            )
        from accelerate import Accelerator, DistributedDataParallelKwargs, FullyShardedDataParallelPlugin

        options: dict[str, Any] = {"cpu": device.type == "cpu", "mixed_precision": "no"}
        if training.distributed == "fsdp2":
            options["fsdp_plugin"] = FullyShardedDataParallelPlugin(
                fsdp_version=2,
                auto_wrap_policy="transformer_based_wrap",
                transformer_cls_names_to_wrap=["Layer"],
                cpu_ram_efficient_loading=False,
                reshard_after_forward=True,
            )
        else:
            # A batch without length queries, say, leaves parameters out.
            options["kwargs_handlers"] = [DistributedDataParallelKwargs(find_unused_parameters=True)]
        accelerator = Accelerator(**options)
        # accelerate's "cpu:0" is a place that torch.load does not know.
        own = device if device.type == "cpu" else accelerator.device
        return cls(accelerator.process_index, accelerator.num_processes, own, accelerator)

    @property
    def main(self) -> bool:
        return self.rank == 0

    def rows(self, total: int) -> slice:
        """The rows of a global batch of `total` that are this process's."""
        share = total // self.world
        return slice(self.rank * share, (self.rank + 1) * share)

    def prepare(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The model wrapped or sharded, and the optimizer of its parameters."""
        if self.accelerator is None:
            return model, optimizer
        model, wrapped = self.accelerator.prepare(model, optimizer)
        return model, wrapped.optimizer

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean over all processes, without gradient. Every process must call it."""
        if self.world == 1:
            return value
        value = value.detach().clone()
        distributed.all_reduce(value)
        return value / self.world

    def agree(self, seconds: float) -> float:
        """The first process's clock, on all of them; waits for no device."""
        if self.world == 1:
            return seconds
        shared = torch.tensor(seconds, dtype=torch.float64)
        distributed.broadcast(shared, 0, group=self._clock)
        return float(shared)

    def wait(self) -> None:
        if self.world > 1:
            distributed.barrier(group=self._clock)

    def accumulating(self, model: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Gradients stay local inside: more forwards of the same step follow."""
        if self.accelerator is None:
            return contextlib.nullcontext()
        inside: contextlib.AbstractContextManager[None] = self.accelerator.no_sync(model)
        return inside

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """A lost connection inside becomes a ProcessError."""
        try:
            yield
        except RuntimeError as error:
            text = str(error).lower()
            signs = ("connection", "gloo", "nccl", "peer")
            if self.world == 1 or not any(sign in text for sign in signs):
                raise
            raise ProcessError(
                "another process of this run has died or cannot be reached; its own message says why. Start "
                "the run again, on any number of processes: it goes on from its last checkpoint"
            ) from error

    def end(self) -> None:
        """Leave the process group."""
        if self.accelerator is not None:
            self.accelerator.end_training()


def launched() -> int:
    """Processes that the launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Is this the process that writes and prints?"""
    return os.environ.get("RANK", "0") == "0"


def full(value: torch.Tensor) -> torch.Tensor:
    """A sharded tensor put together again (every process must call it); another one as it is."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: torch.Tensor, sharded: torch.Tensor) -> torch.Tensor:
    """`value` laid out over the processes as `sharded` is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(sharded, DTensor) or value.shape != sharded.shape:
        return value
    return distribute_tensor(value, sharded.device_mesh, sharded.placements)


@contextlib.contextmanager
def gathered(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Inside, the named sharded parameters of `module` are whole, for writing. Every process must enter."""
    wanted = {id(parameter) for parameter in parameters.values()}
    places = [
        (owner, name, parameter)
        for owner in module.modules()
        for name, parameter in owner._parameters.items()
        if parameter is not None and id(parameter) in wanted
    ]
    whole = [nn.Parameter(full(parameter.detach())) for _, _, parameter in places]
    try:
        for (owner, name, _), parameter in zip(places, whole, strict=True):
            owner._parameters[name] = parameter
        yield
    finally:
        for owner, name, parameter in places:
            owner._parameters[name] = parameter

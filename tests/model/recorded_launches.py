"""What the CUDA path would launch, recorded without a GPU: its own Python over tensors that hold nothing.

The tensors are torch's fake ones on a CUDA device. A kernel's launch is kept instead of made. A body that
would be captured into a CUDA graph runs once under `_InCapture`, which raises for what no capture survives.
What is recorded can be compiled for a GPU that is not here (tests.model.compiled_kernels).
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from triton.runtime.jit import JITFunction

from model import kernels

# Modules that capture; each has the function by name.
_CAPTURING = (
    "model.graphs",
    "model.fused",
    "model.cuda_pass",
    "model.cuda_lanes",
    "model.bench_rows.forward",
    "model.bench_rows.width",
)


# Operations of torch, besides views, that launch nothing.
_IDLE = frozenset({"device", "empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view"})


class Pointer:
    """A tensor as Triton's specialisation sees it: a type and an address, of which the alignment counts."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.dtype = tensor.dtype
        self._offset = tensor.storage_offset() * tensor.element_size() % 16

    def data_ptr(self) -> int:
        return self._offset

    def __repr__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')}*{'' if self._offset == 0 else f'+{self._offset}'}"


@dataclass(frozen=True, slots=True)
class Launch:
    kernel: JITFunction
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    grid: tuple[int, ...]

    @property
    def name(self) -> str:
        return name_of(self.kernel)

    @property
    def key(self) -> tuple[Any, ...]:
        """Launches of one key are one compiled kernel."""
        return self.name, *map(_kind, self.arguments), *sorted((k, str(v)) for k, v in self.options.items())


def _kind(argument: Any) -> str:
    """What Triton compiles anew for: types, alignments, and the integers 1 and multiples of 16."""
    if isinstance(argument, int) and not isinstance(argument, bool):
        return "1" if argument == 1 else "int of 16" if argument % 16 == 0 else "int"
    return "float" if isinstance(argument, float) else str(argument)


class _InCapture(TorchDispatchMode):
    """Raises for work that waits for the device or brings something from the host: a graph would fail or keep
    the value of its capture for ever. Names of the other work go into `work`.
    """

    def __init__(self, work: list[str]) -> None:
        super().__init__()
        self._work = work

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flat, _ = tree_flatten((args, kwargs or {}))
        away = [x for x in flat if isinstance(x, torch.Tensor) and x.device.type != "cuda"]
        wanted = (kwargs or {}).get("device")
        if away or (wanted is not None and torch.device(wanted).type != "cuda"):
            raise AssertionError(f"{func} takes from or gives to the host in a CUDA graph: {away or wanted}")
        name = func.overloadpacket.__name__
        if not func.is_view and name not in _IDLE:
            self._work.append(name)
        return func(*args, **(kwargs or {}))


def _moved(
    self: torch.nn.Module, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
) -> torch.nn.Module:
    """`Module._apply` with new parameters: those that are there cannot be swapped when they are fake."""
    for module in self.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(fn(parameter.detach()), parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fn(buffer)
    return self


@contextlib.contextmanager
def recording(launches: list[Launch], work: list[str] | None = None) -> Iterator[None]:
    """Tensors made here are fake, `device="cuda"` is a device, and what is launched goes into the list. work:
    gets the names of torch's own operations inside what is captured, each one launch or a few.
    """

    def run(self: JITFunction, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        assert not callable(grid)
        kept = tuple(Pointer(x) if isinstance(x, torch.Tensor) else x for x in args)
        assert all(x.device.type == "cuda" for x in args if isinstance(x, torch.Tensor)), self.fn.__name__
        launches.append(Launch(self, kept, options, tuple(grid)))

    def capture(body: Callable[[], Any], device: torch.device, pool: Any = None) -> Callable[[], Any]:
        with _InCapture(work if work is not None else []):
            result = body()
        return lambda: result

    with contextlib.ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=False))
        stack.enter_context(mock.patch.object(JITFunction, "run", run))
        stack.enter_context(mock.patch.object(torch.nn.Module, "_apply", _moved))
        for name in _CAPTURING:
            stack.enter_context(mock.patch.object(importlib.import_module(name), "capture", capture))
        stack.enter_context(mock.patch("torch.cuda.mem_get_info", return_value=(70 << 30, 80 << 30)))
        stack.enter_context(mock.patch("torch.cuda.graph_pool_handle", return_value=None))
        yield


def every_kernel() -> dict[str, JITFunction]:
    """{name: function} of all that the package compiles, kernels and what they call."""
    found: dict[str, JITFunction] = {}
    for module in pkgutil.iter_modules(kernels.__path__):
        for value in vars(importlib.import_module(f"model.kernels.{module.name}")).values():
            if isinstance(value, JITFunction):
                found[name_of(value)] = value
    return found


def name_of(function: JITFunction) -> str:
    return f"{function.fn.__module__.rpartition('.')[2]}.{function.fn.__name__}"

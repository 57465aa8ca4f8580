"""CUDA graphs: work on fixed tensors, captured once and replayed by one launch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Captured(Generic[T]):
    """A graph, the body whose tensors it reads (they must live as long as it does), and what the body
    returned: every replay writes its tensors anew.
    """

    body: Callable[[], T]
    graph: torch.cuda.CUDAGraph
    result: T

    def __call__(self) -> T:
        self.graph.replay()
        return self.result


def capture(body: Callable[[], T], device: torch.device, pool: Any = None) -> Callable[[], T]:
    """`body` as a graph; on a device without graphs (the interpreter) `body` itself.

    The body runs twice: once to compile its kernels, once to be captured; what it advances is the caller's
    to restore. pool: of torch.cuda.graph_pool_handle; graphs of one pool share memory and run one after the
    other.
    """
    if device.type != "cuda":
        return body
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has no types here
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        body()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        result = body()
    return Captured(body, graph, result)

"""A device whose memory is full, told in one line: how full, and what to lower.

    with told(device, "max_tokens"):
        ...

torch raises OutOfMemoryError on a GPU, a RuntimeError on a CPU, and another error still where a CUDA graph
was being captured (the first one is its context).
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import torch

from model.errors import MemoryFullError

if TYPE_CHECKING:
    from model.request import GenerateRequest

_GIB = 2**30


@contextmanager
def told(device: torch.device, lower: str = "") -> Iterator[None]:
    """Within the block an allocation that fails raises MemoryFullError. lower: what may be asked less of
    ("": nothing)."""
    try:
        yield
    except RuntimeError as error:
        if not _is_full(error):
            raise
        full = MemoryFullError(_message(device, lower))
        # The error holds the frames that ran, and they the tensors that the caller needs room of.
        traceback.clear_frames(error.__traceback__)
        raise full from None


def less(request: GenerateRequest, prompt: int) -> str:
    """What to ask less of, of one answer behind `prompt` tokens."""
    return f"max_tokens (now {request.max_tokens}) or the prompt's length (now {prompt})"


def give_back(device: torch.device) -> None:
    """Return what torch keeps of memory that nothing uses any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _message(device: torch.device, lower: str) -> str:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        ours = torch.cuda.memory_reserved(device)
        here = f"{total / _GIB:.1f} GiB: {ours / _GIB:.1f} held by this process, {free / _GIB:.1f} free"
    else:
        memory = psutil.virtual_memory()
        here = f"{memory.total / _GIB:.1f} GiB: {memory.available / _GIB:.1f} free"
    mend = f"lower {lower}, or end what else uses its memory" if lower else "end what else uses its memory"
    return f"out of memory on {device} ({here}): {mend}"

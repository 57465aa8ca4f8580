"""ms of one forward against its floor: the bytes it must read over the bandwidth that was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from model import floor, store
from model.base import Base
from model.bench import BenchOptions, Row, summary
from model.graphs import capture
from model.load import check_fp8, default_name

if TYPE_CHECKING:
    from model.cuda import CudaRunner

TITLE = "one forward (an FP8 base stays FP8 on a GPU that has it) of 1 to 128 tokens against its floor"
CACHED = 256


def decoding_pass(runner: CudaRunner, tokens: int, cached: int) -> Callable[[], torch.Tensor]:
    """A CLEAN pass over random tokens through the kernels that decoding uses, with all logits."""
    base = runner.base
    ids = torch.randint(base.config.vocab, (tokens,), generator=torch.Generator().manual_seed(0))
    x_TD = base.embed(ids.to(base.device))
    fields = torch.zeros(4, tokens, dtype=torch.int32, device=base.device)
    fields[1] = torch.arange(cached, cached + tokens)
    runner.device_length.fill_(cached)
    reach = runner.reach(cached + tokens)
    return lambda: runner.logits(runner.forward(x_TD, fields, [], reach))


def rows(options: BenchOptions) -> Iterator[Row]:
    """On a GPU a forward is one CUDA graph, over the decoder's kernels where they cover the base."""
    name = default_name(options.device) if options.model == "default" else options.model
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if options.device == "auto" else options.device
    device = torch.device(kind)
    folder = store.resolve(name)
    check_fp8(folder, kind, "fp32" if device.type == "cpu" else "bf16")
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    base = Base.load(folder, dtype=dtype, device=device)
    if device.type == "cuda":
        on_disk = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        used = torch.cuda.memory_allocated(device)
        yield Row("memory of the weights", used / 1e9, "GB", on_disk / 1e9, used / on_disk, None, "the files")
    speed = floor.bandwidth(device, 1 << 24 if options.quick else None)
    runner = None
    if device.type == "cuda":
        from model import cuda

        runner = cuda.CudaRunner(base) if cuda.supported(base) else None
    with torch.inference_mode():
        for tokens in (1, 8, 32) if options.quick else (1, 8, 32, 128):
            width = floor.width(base, tokens, CACHED)
            run = capture(width.run if runner is None else decoding_pass(runner, tokens, CACHED), device)
            value, spread = summary(floor.times_ms(run, device, options.repeats))
            least = width.bytes_read / speed * 1e3
            note = f"{width.bytes_read / 1e9:.2f} GB at {speed / 1e12:.3f} TB/s"
            if width.experts:
                note += f", {width.experts:.1f} experts a layer"
            yield Row(f"forward of {tokens}", value, "ms", least, value / least, spread, "floor", note)

"""ms of one forward against its floor: the bytes it must read over the bandwidth that was measured."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from model import floor, store
from model.base import Base
from model.bench import BenchOptions, Row, summary
from model.load import check_fp8, default_name

TITLE = "one forward (an FP8 base stays FP8 on a GPU that has it) of 1 to 128 tokens against its floor"
CACHED = 256


def rows(options: BenchOptions) -> Iterator[Row]:
    """On a GPU a forward is one CUDA graph."""
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
    with torch.inference_mode():
        for tokens in (1, 8, 32) if options.quick else (1, 8, 32, 128):
            width = floor.width(base, tokens, CACHED)
            run = floor.captured(width.run, device)
            value, spread = summary(floor.times_ms(run, device, options.repeats))
            least = width.bytes_read / speed * 1e3
            note = f"{width.bytes_read / 1e9:.2f} GB at {speed / 1e12:.3f} TB/s"
            if width.experts:
                note += f", {width.experts:.1f} experts a layer"
            yield Row(f"forward of {tokens}", value, "ms", least, value / least, spread, "floor", note)

"""`ar` beside vLLM in the same process."""

from __future__ import annotations

from collections.abc import Iterator

from model.bench import BenchOptions, Row
from model.bench_rows.generate import beside

TITLE = "ar beside vLLM, where it is installed"
ON_REQUEST = True


def rows(options: BenchOptions) -> Iterator[Row]:
    """Raises BackendMissingError. vLLM takes a fixed share of the memory, so ours fits beside it."""
    from model.backends.vllm import VLLMModel

    yield from beside(
        options,
        "vLLM",
        lambda engine: VLLMModel(
            engine.name,
            folder=engine.folder,
            device=engine.device.type,
            context=4096,
            gpu_memory_utilization=0.4,
        ),
    )

"""`ar` beside transformers' generate with a static cache and torch.compile, which compiles for minutes."""

from __future__ import annotations

from collections.abc import Iterator

from model.bench import BenchOptions, Row
from model.bench_rows.generate import beside

TITLE = "ar beside transformers' generate with a static cache, on a GPU compiled"
ON_REQUEST = True


def rows(options: BenchOptions) -> Iterator[Row]:
    """One prompt: a cache of another size would be compiled anew."""
    from model.backends.transformers import TransformersModel

    yield from beside(
        options,
        "transformers generate, static cache",
        lambda engine: TransformersModel(
            engine.name, folder=engine.folder, device=str(engine.device), static_cache=True
        ),
        prompts=1,
    )

"""What quantising to FP8 costs in perplexity and saves in bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from model import quantize, store
from model.bench import BenchOptions, Row
from model.load import default_name

TITLE = "FP8 (128x128 blocks): perplexity and size beside the unquantised weights"


def rows(options: BenchOptions) -> Iterator[Row]:
    name = default_name(options.device) if options.model == "default" else options.model
    source = store.resolve(name)
    device = "cpu" if options.device == "auto" else options.device
    with tempfile.TemporaryDirectory() as scratch:
        target = quantize.quantise_folder(source, Path(scratch) / "fp8")
        before, after = (sum(p.stat().st_size for p in f.glob("*.safetensors")) for f in (source, target))
        peer = f"{name} as it is"
        yield Row("fp8_weight_bytes", after, "bytes", before, after / before, None, peer)
        loss = quantize.measure(source, target, tokens=1024 if options.quick else 2048, device=device)
    text = f"{loss.tokens} tokens of this package's sources"
    yield Row(
        "fp8_weights_perplexity", loss.weights, "", loss.base, loss.weights / loss.base, None, peer, text
    )
    yield Row(
        "fp8_weights_activations_perplexity",
        loss.both,
        "",
        loss.base,
        loss.both / loss.base,
        None,
        peer,
        text,
    )

"""The samples of a run, from the files that its configuration names."""

from __future__ import annotations

from model.data.packages import DataError
from model.data.samples import Samples
from model.train.config import TrainConfig


def read_samples(config: TrainConfig, tokenizer_sha256: str) -> Samples:
    """All samples of `data.train`. tokenizer_sha256: of the base ('': not known, not compared). Raises
    DataError: no file named, unreadable, or tokenized for another base."""
    if not config.data.train:
        raise DataError(
            "data.train names no sample file; make one with `model data build` and `model data answer`"
        )
    items = []
    for path in config.data.train:
        loaded = Samples.load(path)
        theirs = loaded.meta.get("tokenizer", "")
        if theirs and tokenizer_sha256 and theirs != tokenizer_sha256:
            raise DataError(f"{path} was tokenized for another base; encode it with base {config.base}")
        items += loaded.items
    return Samples(items)

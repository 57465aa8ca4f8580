"""Prompt rows to token ids, with a base's tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from model.data.packages import DataError
from model.data.samples import Sample, Samples
from model.request import Message

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer


def encode(rows: Iterable[dict[str, Any]], tokenizer: Tokenizer, max_tokens: int = 320) -> Samples:
    """Samples with empty answers (or the rows' own `answer` text); rows whose prompt is longer than
    `max_tokens` are dropped and counted in `meta['too_long']`. Raises DataError when a row has neither
    messages nor text."""
    items: list[Sample] = []
    too_long = 0
    for number, row in enumerate(rows, 1):
        if row.get("messages"):
            prompt = tokenizer.render_chat([Message(m["role"], m["content"]) for m in row["messages"]])
        elif row.get("text"):
            prompt = tokenizer.encode(row["text"])
        else:
            raise DataError(f"row {number} has neither `messages` nor `text`")
        if len(prompt) > max_tokens:
            too_long += 1
            continue
        answer = tokenizer.encode(row["answer"]) + sorted(tokenizer.eos_ids)[-1:] if row.get("answer") else []
        form = str(row.get("form", ""))
        items.append(Sample(np.array(prompt, np.int32), np.array(answer, np.int32), bool(answer), form))
    return Samples(items, {"tokenizer": tokenizer.sha256, "too_long": too_long})

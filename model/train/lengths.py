"""How well the length head knows the answer's length, against the trivial predictor: always the median of
the training answers.

Answers are cut at a limit, and those that reach it are the long ones. Judging only the finished ones would
call a head wrong that rightly expects the others, and flatter a constant; so every answer counts, and what
is compared is min(length, limit).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.data.samples import Sample, Samples
from model.train.forward import PackedForward
from model.train.objectives import length
from model.train.packing import lay_out, pack
from model.train.tensors import Tensors

ROWS, ROW_TOKENS = 8, 2048
CANVAS = 0.8  # quantile that decoders take as the canvas


@torch.no_grad()
def length_figures(forward: PackedForward, samples: Samples, trivial: float | None = None) -> dict[str, Any]:
    """Median relative error of the predicted median and of `trivial` (None: the median of these answers,
    which favours the trivial side); the share of canvases (80 % quantile) that would have had to grow; the
    same errors over finished answers alone.
    """
    head = forward.heads.length
    usable = [s for s in samples if s.answer.size and len(s.prompt) + len(s.answer) <= ROW_TOKENS]
    if head is None or not usable:
        return {}
    limit = answer_limit(usable)
    sizes = [len(s.prompt) + len(s.answer) for s in usable]
    rows = [list(row.members) for row in pack(sizes, np.arange(len(usable)), ROW_TOKENS)]
    middle, canvas, actual, ended = [], [], [], []
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        part += [[]] * (ROWS - len(part))
        members = [[usable[i] for i in row][: length.QUERIES] for row in part]
        logits = ask(forward, members)
        middle += [head.quantile(row, 0.5) for row in logits]
        canvas += [head.quantile(row, CANVAS) for row in logits]
        actual += [len(s.answer) for row in members for s in row]
        ended += [s.finished for row in members for s in row]
    guess, room, true = (np.minimum(x, limit) for x in (np.array(middle), np.array(canvas), np.array(actual)))
    constant = float(np.median(true)) if trivial is None else min(trivial, limit)
    done = np.array(ended)
    return {
        "answers": len(true),
        "finished": int(done.sum()),
        "limit": limit,
        "median_relative_error": _error(guess, true),
        "trivial_median_relative_error": _error(constant, true),
        "finished_error": _error(guess[done], true[done]) if done.any() else None,
        "finished_trivial_error": _error(constant, true[done]) if done.any() else None,
        "canvas_grew": round(float((room < true).mean()), 4),
        "canvas_over_answer": round(float(np.median(room / true)), 3),
    }


def ask(forward: PackedForward, members: list[list[Sample]]) -> torch.Tensor:
    """Logits over buckets of each sample's prompt, row after row [samples, buckets], on the CPU."""
    head = forward.heads.length
    assert head is not None
    ids, position, document, _ = lay_out(members, ROW_TOKENS, 0)
    query, _, _ = length.queries(members, head.edges, ROW_TOKENS)
    arrays = {"ids_RT": ids, "position_RT": position, "document_RT": document, "query_RL": query}
    t = Tensors(forward.device, **arrays)
    _, cache = forward.clean(t)
    logits: torch.Tensor = head(forward.query(t, cache, eager=True))[t.query_RL >= 0].float().cpu()
    return logits


def answer_limit(samples: list[Sample]) -> int:
    """The longest length at which answers were cut; with none cut, the longest answer."""
    cut = [len(s.answer) for s in samples if not s.finished]
    return max(cut or [len(s.answer) for s in samples])


def training_median(samples: Samples) -> float:
    """What the trivial predictor always says."""
    return float(np.median([len(s.answer) for s in samples])) if len(samples) else 0.0


def _error(guess: npt.NDArray[np.int64] | float, true: npt.NDArray[np.int64]) -> float:
    return round(float(np.median(np.abs(guess - true) / true)), 4)

"""How well the length head knows the answer's length, against the trivial predictor (the median of the
answers)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from model.data.samples import Samples
from model.train.forward import PackedForward, Tensors
from model.train.objectives import length
from model.train.packing import lay_out, pack

ROWS, ROW_TOKENS = 8, 2048
CANVAS = 0.8  # quantile that decoders take as the canvas


@torch.no_grad()
def length_figures(forward: PackedForward, samples: Samples) -> dict[str, Any]:
    """Over finished answers: median relative error of the predicted median, the same for the trivial
    predictor, and the share of canvases (80 % quantile) that would have had to grow."""
    head = forward.heads.length
    finished = [s for s in samples if s.finished and len(s.prompt) + len(s.answer) <= ROW_TOKENS]
    if head is None or not finished:
        return {}
    sizes = [len(s.prompt) + len(s.answer) for s in finished]
    rows = [list(row.members) for row in pack(sizes, np.arange(len(finished)), ROW_TOKENS)]
    middle, canvas, actual = [], [], []
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        part += [[]] * (ROWS - len(part))
        members = [[finished[i] for i in row][: length.QUERIES] for row in part]
        ids, position, document, _ = lay_out(members, ROW_TOKENS, 0)
        query, _, _ = length.queries(members, head.edges, ROW_TOKENS)
        arrays = {"ids_RT": ids, "position_RT": position, "document_RT": document, "query_RL": query}
        t = Tensors(forward.device, **arrays)
        _, cache = forward.clean(t)
        logits = head(forward.query(t, cache))[t.query_RL >= 0].float().cpu()
        middle += [head.quantile(row, 0.5) for row in logits]
        canvas += [head.quantile(row, CANVAS) for row in logits]
        actual += [len(s.answer) for row in members for s in row]
    predicted, room, true = np.array(middle), np.array(canvas), np.array(actual)
    trivial = np.median(true)
    return {
        "answers": len(true),
        "median_relative_error": round(float(np.median(np.abs(predicted - true) / true)), 4),
        "trivial_median_relative_error": round(float(np.median(np.abs(trivial - true) / true)), 4),
        "canvas_grew": round(float((room < true).mean()), 4),
        "canvas_over_answer": round(float(np.median(room / true)), 3),
    }

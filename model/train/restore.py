"""The edit stage measured: some tokens of a program are replaced, and the heads may rewrite them.

    figures = restore(forward, samples, block=32, confidence=0.9)
    figures = restore_judged(runner, limit, samples)

`restore` is the diffusion head alone, `restore_judged` model.mend, where the AR head judges. In the former
answers are read block by block, as the decoder commits them. A block is shown whole, its own earlier text
being what was made of it; a token is rewritten when the head predicts another one with at least `confidence`
(the decoder's edit rule), for at most PASSES passes. Nothing says which tokens were replaced. What Seed
Diffusion (arXiv 2508.02193) trains for with edit corruption; the measure is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model import mend
from model.data.packages import DataError
from model.data.samples import Sample, Samples
from model.runner import Runner
from model.train.forward import PackedForward
from model.train.packing import lay_out
from model.train.tensors import Tensors

ROWS, ROW_TOKENS = 8, 1024
QUERY = 128  # draft tokens of a pass; a compiled mask has this granularity
PASSES = 2
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def damage(samples: Sequence[Sample], share: float, seed: int) -> list[Ints]:
    """The answers with a `share` of their tokens, one at least, replaced by other tokens of the samples."""
    rng = np.random.default_rng(seed)
    words = np.concatenate([s.answer for s in samples]).astype(np.int64)
    if len(np.unique(words)) < 2:
        raise DataError("the answers hold a single kind of token; there is nothing to put in its place")
    made = []
    for sample in samples:
        ids = sample.answer.astype(np.int64)
        count = max(1, round(share * len(ids)))
        for place in rng.choice(len(ids), count, replace=False):
            while ids[place] == sample.answer[place]:
                ids[place] = rng.choice(words)
        made.append(ids)
    return made


@torch.no_grad()
def restore(
    forward: PackedForward,
    samples: Samples,
    *,
    block: int = 32,
    confidence: float = 0.9,
    share: float = 0.05,
    seed: int = 1,
) -> dict[str, Any]:
    """`figures` of the answers after the edit passes. {} without a usable sample: an answer needs 2 tokens,
    and a row of ROW_TOKENS must hold it with its prompt."""
    usable = _usable(samples)
    if not usable:
        return {}
    damaged = damage(usable, share, seed)
    mended: list[Ints] = []
    for start in range(0, len(usable), ROWS):
        part, shown = usable[start : start + ROWS], damaged[start : start + ROWS]
        mended += _rewrite(forward, part, shown, block, confidence)
    return {"block": block, "confidence": confidence, "share": share, **figures(usable, damaged, mended)}


def restore_judged(
    runner: Runner,
    limit: int,
    samples: Samples,
    *,
    block: int = mend.BLOCK,
    share: float = 0.05,
    seed: int = 1,
    on_answer: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """The same of the same damage, by both heads. limit: ids from here on are never written. on_answer hears
    how many answers are done."""
    usable = _usable(samples)
    if not usable:
        return {}
    damaged = damage(usable, share, seed)
    mended: list[Ints] = []
    for sample, ids in zip(usable, damaged, strict=True):
        made = mend.mend(runner, sample.prompt.tolist(), ids.tolist(), limit, block=block)
        mended.append(np.array(made, np.int64))
        on_answer(len(mended), len(usable))
    return {"block": block, "judged": True, "share": share, **figures(usable, damaged, mended)}


def _usable(samples: Samples) -> list[Sample]:
    return [s for s in samples if len(s.answer) >= 2 and len(s.prompt) + len(s.answer) <= ROW_TOKENS]


def figures(samples: Sequence[Sample], damaged: Sequence[Ints], mended: Sequence[Ints]) -> dict[str, Any]:
    """exact: share of answers that are again what they were, token for token. restored: share of the replaced
    tokens that are right again; kept: share of the others that still are."""
    exact, right, replaced, kept, others = 0, 0, 0, 0, 0
    for sample, before, after in zip(samples, damaged, mended, strict=True):
        wrong, good = before != sample.answer, after == sample.answer
        exact += bool(good.all())
        right, replaced = right + int((good & wrong).sum()), replaced + int(wrong.sum())
        kept, others = kept + int((good & ~wrong).sum()), others + int((~wrong).sum())
    return {
        "answers": len(samples),
        "exact": round(exact / len(samples), 4),
        "restored": round(right / replaced, 4),
        "kept": round(kept / max(1, others), 4),
    }


def _rewrite(
    forward: PackedForward, samples: Sequence[Sample], answers: Sequence[Ints], block: int, confidence: float
) -> list[Ints]:
    """The answers after the edit passes."""
    fill = forward.heads.mask_id or 0
    rows = [[Sample(s.prompt, a.astype(np.int32))] for s, a in zip(samples, answers, strict=True)]
    rows += [[]] * (ROWS - len(rows))  # equal shapes compile once
    ids, position, document, _ = lay_out(rows, ROW_TOKENS, fill)
    begin = np.array([len(s.prompt) for s in samples] + [1] * (ROWS - len(samples)))
    sizes = np.array([*(len(a) for a in answers), *([0] * (ROWS - len(samples)))])
    end = begin + sizes
    step = block - 1  # the last state of a block predicts a token that the block does not show
    for first in range(0, int(sizes.max()), step):
        anchor = np.minimum(begin - 1 + first, ROW_TOKENS - 1)
        columns = anchor[:, None] + 1 + np.arange(step)
        inside = columns < end[:, None]
        columns = np.minimum(columns, ROW_TOKENS - 1)
        for _ in range(PASSES):
            guess, sure = _predict(forward, ids, position, document, anchor, block)
            now = np.take_along_axis(ids, columns, 1)
            change = inside & (guess[:, :step] != now) & (sure[:, :step] >= confidence)
            if not change.any():
                break
            row, at = np.nonzero(change)
            ids[row, columns[row, at]] = guess[row, at]
    return [ids[r, begin[r] : end[r]] for r in range(len(samples))]


@torch.no_grad()
def _predict(
    forward: PackedForward, ids: Ints, position: Ints, document: Ints, anchor: Ints, block: int
) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Most likely token and its probability [R, block] for the places behind `anchor`, everything shown."""
    copies = max(1, QUERY // block) if forward.flex else 1
    anchors = np.repeat(anchor[:, None], copies, 1)
    ahead = np.minimum(anchors[..., None] + np.arange(block), ROW_TOKENS - 1)
    arrays = {
        "ids_RT": ids,
        "position_RT": position,
        "document_RT": document,
        "anchor_RN": anchors,
        "begin_RN": anchors - np.take_along_axis(position, anchors, 1),
        "draft_ids_RNB": ids[np.arange(len(ids))[:, None, None], ahead],
    }
    t = Tensors(forward.device, **arrays)
    _, cache = forward.clean(t)
    states = forward.draft(t, cache)[:, :block]
    chance = (states @ forward.draft_output_VD.T).float().softmax(-1)
    sure, best = chance.max(-1)
    vocab = forward.heads.draft_vocab
    tokens = vocab[best] if vocab.numel() else best
    return tokens.cpu().numpy().astype(np.int64), sure.cpu().numpy()

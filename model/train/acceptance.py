"""How many draft tokens would the base accept? Measured against its own greedy answers, for every place in
them.

    report = Acceptance(forward, block=32).measure(samples)

At each anchor the draft block is run once; up to the first miss the sequential head's own picks are the
true tokens, so teacher forcing gives the accepted length exactly. From the lengths at all anchors a decode
is replayed: in a shared draft-and-verify forward the base already knows the token after the anchor, the
drafts are states 1 .., and the forward yields accepted + 1 tokens. With siblings (model.drafter) it yields
more where the second best token of the first miss was right, with copies (model.copies) where these go on
for longer. Copied text (inside an 8-gram that
occurred before) and new text are counted apart, beside prompt lookup without a model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.copies import trusted
from model.data.packages import DataError
from model.data.samples import Sample, Samples
from model.drafter import sibling_places
from model.plan import SIBLING
from model.train.copied import Copied, copies, lookup
from model.train.forward import PackedForward
from model.train.packing import lay_out, pack
from model.train.tensors import Tensors

Bools = npt.NDArray[np.bool_]
SIBLINGS = (1, 2, 4)
ROWS = 8
DRAFT_TOKENS = 3072  # a row and pass


@dataclass(frozen=True, slots=True)
class Marks:
    """For one sample and each answer token: was draft j of the block anchored before it right?
    plain, refined: [A, B] bool; anchor a is the column before answer token a, state 0 predicts token a
    itself. second: was it the refined draft's second choice? sure: probability of its best and second best
    token [A, B, 2]."""

    plain: Bools
    refined: Bools
    second: Bools
    sure: npt.NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[Marks], axis: int) -> Marks:
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts], axis) for name in names))

    def at(self, *where: int | slice) -> Marks:
        return Marks(self.plain[where], self.refined[where], self.second[where], self.sure[where])


class Acceptance:
    """forward: base and heads. block: tokens a block. candidates: the sequential head chooses among so many
    of the plain states' best."""

    def __init__(
        self, forward: PackedForward, block: int, candidates: int = 64, row_tokens: int = 2048
    ) -> None:
        self.forward, self.block, self.candidates, self.T = forward, block, candidates, row_tokens

    def measure(self, samples: Samples) -> dict[str, Any]:
        """Figures over all samples with at least two answer tokens; see `summary`. Raises DataError when none
        is left."""
        done = self.marks(samples)
        return summary([s for s, _ in done], [m for _, m in done], self.block)

    @torch.no_grad()
    def marks(self, samples: Samples) -> list[tuple[Sample, Marks]]:
        """The samples with at least two answer tokens that fit into a row, with their marks, in their order.
        Raises DataError when there are none."""
        usable = [s for s in samples if len(s.answer) >= 2 and len(s.prompt) + len(s.answer) <= self.T]
        if not usable:
            raise DataError(
                f"none of {len(samples)} samples has an answer of 2 tokens or more that fits with its prompt "
                f"into {self.T} tokens; answer prompts with `model data answer`"
            )
        marks: list[Marks | None] = [None] * len(usable)
        lengths = [len(s.prompt) + len(s.answer) for s in usable]
        rows = [row.members for row in pack(lengths, np.arange(len(usable)), self.T)]
        for start in range(0, len(rows), ROWS):
            for index, found in self._rows(usable, rows[start : start + ROWS]):
                marks[index] = found
        return [(s, m) for s, m in zip(usable, marks, strict=True) if m is not None]

    def _rows(
        self, samples: Sequence[Sample], rows: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[int, Marks]]:
        device, B, fill = self.forward.device, self.block, self.forward.heads.mask_id or 0
        if self.forward.flex:
            rows = [*rows, *[()] * (ROWS - len(rows))]  # equal shapes compile once
        R = len(rows)
        ids, position, document, answer = lay_out([[samples[i] for i in row] for row in rows], self.T, fill)
        anchors = [np.flatnonzero(answer[r, 1:]) for r in range(R)]
        t = Tensors(device, ids_RT=ids, position_RT=position, document_RT=document)
        _, cache = self.forward.clean(t)
        most = max(len(a) for a in anchors)
        N = DRAFT_TOKENS // B if self.forward.flex else min(most, DRAFT_TOKENS // B)
        passes = -(-most // N)
        parts = []
        for number in range(passes):
            columns = np.zeros((R, N), np.int64)
            for r, found in enumerate(anchors):
                part = found[number * N : (number + 1) * N]
                columns[r, : len(part)] = part
            parts.append(self._pass(t, columns, position, document, cache))
        marks = Marks.joined(parts, axis=1)
        for r, row in enumerate(rows):
            at = 0
            for index in row:
                here = slice(at, at + len(samples[index].answer))
                yield index, marks.at(r, here)
                at = here.stop

    def _pass(self, t: Any, columns: Any, position: Any, document: Any, cache: Any) -> Marks:
        """Of the drafts anchored at `columns`, [R, N, B]."""
        forward, device, B = self.forward, self.forward.device, self.block
        t.anchor_RN = torch.from_numpy(columns).to(device)
        t.begin_RN = t.anchor_RN - t.position_RT.gather(1, t.anchor_RN)
        ahead = columns[..., None] + np.arange(B + 1)
        inside = ahead < self.T
        ahead = np.minimum(ahead, self.T - 1)
        row = np.arange(len(columns))[:, None, None]
        inside &= document[row, ahead] == np.take_along_axis(document, columns, 1)[..., None]
        tokens = (
            torch.from_numpy(np.where(inside, 1, 0)).to(device)
            * t.ids_RT[torch.from_numpy(row), torch.from_numpy(ahead)]
        )
        known = torch.from_numpy(inside[..., 1:]).to(device)
        t.draft_ids_RNB = torch.full(tokens[..., :-1].shape, forward.heads.mask_id or 0, device=device)
        t.draft_ids_RNB[..., 0] = tokens[..., 0]
        R, N = columns.shape
        states = forward.draft(t, cache).view(R * N, B, -1)
        refined = (
            forward.refine(states, tokens[..., :-1].reshape(R * N, B))
            if forward.heads.sequential is not None
            else states
        )
        target = forward.index_of_V[tokens[..., 1:].reshape(R * N, B)]
        right = [torch.zeros_like(target, dtype=torch.bool) for _ in range(3)]
        sure = torch.zeros(*target.shape, 2, device=device)
        for start in range(0, R * N, 128):
            part = slice(start, start + 128)
            plain_logits = states[part] @ forward.draft_output_VD.T
            right[0][part] = plain_logits.argmax(-1) == target[part]
            few = min(self.candidates, plain_logits.shape[-1])
            least = plain_logits.topk(few, -1).values[..., -1:]
            logits = (refined[part] @ forward.draft_output_VD.T).masked_fill(
                plain_logits < least, float("-inf")
            )
            best, ids = logits.topk(2, -1)
            right[1][part], right[2][part] = (ids == target[part][..., None]).unbind(-1)
            sure[part] = (best.float() - logits.float().logsumexp(-1, keepdim=True)).exp()
        found = [(x.view(R, N, B) & known).cpu().numpy() for x in right]
        return Marks(found[0], found[1], found[2], sure.view(R, N, B, 2).cpu().numpy())


def run_length(right: Bools) -> npt.NDArray[np.int64]:
    """Leading True values along the last axis."""
    length: npt.NDArray[np.int64] = np.cumprod(right, -1).sum(-1)
    return length


def joined(marks: Marks, siblings: int, copied: Copied | None = None) -> npt.NDArray[np.int64]:
    """Accepted drafts at each anchor, from state 1, with `siblings` of the draft in the pass. copied: where a
    copy is trusted (model.copies) it is the line, and the draft takes the place of a sibling where it parts
    from it."""
    right, second = marks.refined[:, 1:], marks.second[:, 1:]
    own = run_length(right)
    lengths = own.copy()
    for anchor, length in enumerate(own.tolist()):
        count = siblings
        if copied is not None:
            copy = int(copied.lengths[anchor + 1])
            if trusted(int(copied.match[anchor + 1]), min(length, copy)):
                lengths[anchor] = copy
                if siblings and length > copy:
                    lengths[anchor] += min(length - copy, SIBLING)
                if copy != length:
                    continue
                count = siblings - 1
        if count <= 0 or length == right.shape[1] or not second[anchor, length]:
            continue
        if length in sibling_places(torch.from_numpy(marks.sure[anchor, 1:]), count):
            lengths[anchor] += 1 + run_length(right[anchor, length + 1 : length + SIBLING])
    return lengths


def summary(samples: Sequence[Sample], marks: Sequence[Marks], block: int) -> dict[str, Any]:
    """accepted_*: mean accepted drafts over all anchors, from state 0 (as a drafter that knows nothing of
    the base's next token) and from state 1 (which does); tpf_*: tokens per forward of the replayed decode
    with a shared forward, all text, copied, new; tpf_siblings: of tpf_refined with 1, 2 .. siblings;
    tpf_copies: with copies where they are trusted and 0, 1, 2 .. siblings (`joined`);
    by_position: share right at j given that 1 .. j-1 were right. The same for prompt lookup with drafts as
    long, without a model: where it drafts anything (lookup_drafted: the share of anchors)."""
    copied = [copies(s) for s in samples]
    plain = [run_length(m.plain[:, 1:]) for m in marks]
    refined = [run_length(m.refined[:, 1:]) for m in marks]
    looked = [lookup(s, block - 1) for s in samples]
    # Anchors whose whole block lies inside the answer: near its end a run is cut by the end, not by a miss.
    room = [np.arange(len(m.plain)) + block <= len(m.plain) for m in marks]
    refined_0, plain_0 = [run_length(m.refined) for m in marks], [run_length(m.plain) for m in marks]
    whole = np.concatenate([m.refined[r] for m, r in zip(marks, room, strict=True)])
    return {
        "samples": len(samples),
        "tokens": int(sum(len(s.answer) for s in samples)),
        "block": block,
        "copied_share": round(float(np.concatenate(copied).mean()), 4),
        "accepted_plain_from_0": _mean(plain_0, room),
        "accepted_refined_from_0": _mean(refined_0, room),
        "accepted_plain_from_1": _mean(plain, room),
        "accepted_refined_from_1": _mean(refined, room),
        "tpf_plain": replay(plain, copied),
        "tpf_refined": replay(refined, copied),
        "tpf_siblings": {n: replay([joined(m, n) for m in marks], copied) for n in SIBLINGS},
        "tpf_copies": {
            n: replay([joined(m, n, x) for m, x in zip(marks, looked, strict=True)], copied)
            for n in (0, *SIBLINGS)
        },
        "tpf_lookup": replay([x.lengths[1:] for x in looked], copied),
        "lookup_drafted": round(float(np.concatenate([x.match[1:] > 0 for x in looked]).mean()), 4),
        "by_position": _by_position(whole[:, 1:]),
        "lookup_by_position": _by_position(_runs(looked, room, block - 1)),
    }


def replay(accepted: Sequence[npt.NDArray[np.int64]], copied: Sequence[Bools]) -> dict[str, float]:
    """Decode every sample with the accepted lengths at each anchor. The first token comes from the prompt's
    own pass; then a forward at anchor q (whose next token is known) yields accepted[q] + 1 tokens."""
    tokens, cost = {"all": 0.0, "copied": 0.0, "new": 0.0}, {"all": 0.0, "copied": 0.0, "new": 0.0}
    for lengths, old in zip(accepted, copied, strict=True):
        at = 0  # anchor index: the column before answer token `at`, which is known
        while at + 1 < len(old):
            got = min(int(lengths[at]) + 1, len(old) - at - 1)
            kinds = old[at + 1 : at + 1 + got]
            for name, count in (("all", got), ("copied", int(kinds.sum())), ("new", int((~kinds).sum()))):
                tokens[name] += count
                cost[name] += count / got
            at += got
    return {name: round(tokens[name] / cost[name], 3) if cost[name] else 0.0 for name in tokens}


def _mean(lengths: Sequence[npt.NDArray[np.int64]], room: Sequence[Bools]) -> float:
    kept = np.concatenate([x[r] for x, r in zip(lengths, room, strict=True)])
    return round(float(kept.mean()), 3) if len(kept) else 0.0


def _runs(looked: Sequence[Copied], room: Sequence[Bools], most: int) -> Bools:
    """Lengths of the drafts that were made where there is room, as right or wrong by position [N, most]."""
    kept = np.concatenate([x.lengths[1:][r & (x.match[1:] > 0)] for x, r in zip(looked, room, strict=True)])
    runs: Bools = np.arange(most) < kept[:, None]
    return runs


def _by_position(right: Bools) -> list[float]:
    alive = np.concatenate(
        (np.ones((len(right), 1), np.bool_), np.cumprod(right, -1)[:, :-1].astype(bool)), 1
    )
    return [
        round(float(right[alive[:, j], j].mean()), 4) if alive[:, j].any() else 0.0
        for j in range(right.shape[1])
    ]

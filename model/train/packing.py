"""Rows of clean tokens and the draft blocks that hang off them: what one forward pass trains on.

    batches = Batches(samples, config, tokenizer facts)
    batch = batches.at(step, micro)              # numpy; the same arguments give the same batch, on any
    machine

A row holds whole samples one after the other (positions restart at each). A draft block is anchored at a
clean token p of an answer: its inputs are the token at p, visible, and B - 1 more that an objective masks
or edits; its states predict the tokens at p + 1 .. p + B. All randomness comes from (seed, step, micro), so
a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

# ruff: noqa: N815 - shape suffixes carry capitals, in fields as in variables
import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model.data.packages import DataError
from model.train.objectives import length, next_token
from model.train.objectives.blocks import Mixture

if TYPE_CHECKING:
    from model.data.samples import Sample, Samples
    from model.train.config import TrainConfig

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
NO_TARGET = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward pass. R rows, T clean tokens, N blocks of B tokens, L length queries a row.

    ids_RT, position_RT, document_RT (-1: padding). anchor_RN: column of each block's visible token;
    begin_RN: first column of its document. draft_ids_RNB: block inputs; truth_RNB: the same without
    corruption; target_RNB: token each state predicts, NO_TARGET where there is none. weight_RNB: of the
    token loss; certain_RNB: of the certainty loss. refined_N: the blocks that also train the sequential
    head; ordered_N: the last blocks, which get a state of their decoding trajectory; seed: of the noise that
    is drawn in the forward pass. next_weight_RT: weight of the next-token loss at each clean state.
    query_RL: column of the last prompt token of each document (-1: none); bucket_RL: its answer's length
    bucket; open_RL: the answer is at least that long (cut by a limit). rollout_R: rows that hold rollouts
    (model.train.onpolicy), in a batch that has some; policy_*_RNB: token that each of their states chose, its
    weight, its probability then.
    """

    ids_RT: Ints
    position_RT: Ints
    document_RT: Ints
    anchor_RN: Ints
    begin_RN: Ints
    draft_ids_RNB: Ints
    truth_RNB: Ints
    target_RNB: Ints
    weight_RNB: Floats
    certain_RNB: Floats
    refined_N: int
    ordered_N: int
    seed: tuple[int, ...]
    next_target_RT: Ints
    next_weight_RT: Floats
    query_RL: Ints
    bucket_RL: Ints
    open_RL: npt.NDArray[np.bool_]
    rollout_R: npt.NDArray[np.bool_]
    policy_RNB: Ints = field(default_factory=lambda: np.zeros((0, 0, 0), np.int64))
    policy_weight_RNB: Floats = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    policy_old_RNB: Floats = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))


@dataclass(frozen=True, slots=True)
class Row:
    """Samples packed into one row, as indices into the sample list."""

    members: tuple[int, ...]


def pack(lengths: list[int], order: Ints, room: int) -> list[Row]:
    """First fit in the given order over the few rows still open; a row closes when little is left of it."""
    open_rows: list[tuple[list[int], int]] = []
    done: list[Row] = []
    for index in order.tolist():
        need = lengths[index]
        for slot, (members, left) in enumerate(open_rows):
            if need <= left:
                members.append(index)
                open_rows[slot] = (members, left - need)
                break
        else:
            open_rows.append(([index], room - need))
        if len(open_rows) > 16:
            fullest = min(range(len(open_rows)), key=lambda i: open_rows[i][1])
            done.append(Row(tuple(open_rows.pop(fullest)[0])))
    return done + [Row(tuple(members)) for members, _ in open_rows]


class Batches:
    """Deterministic batches over `samples`.

    Samples longer than a row are cut at its end; those with fewer than 2 answer tokens are dropped. Raises
    DataError when none is left. `mask_id` fills masked inputs; `scaffold_ids` are tokens with extra weight
    in the next-token loss.
    """

    def __init__(
        self, samples: Samples, config: TrainConfig, mask_id: int, scaffold_ids: frozenset[int] = frozenset()
    ) -> None:
        self.config = config
        self.mask_id = mask_id
        self.edges = config.heads().length.edges()
        self.scaffold = np.array(sorted(scaffold_ids), np.int64)
        room = config.training.row_tokens
        self.samples: list[Sample] = [s for s in samples if len(s.answer) >= 2 and len(s.prompt) <= room - 2]
        if not self.samples:
            raise DataError(
                f"no usable sample among {len(samples)}: each needs a prompt shorter than "
                f"training.row_tokens ({room}) and an answer of 2 tokens or more; "
                "answer prompts with `model data answer`"
            )
        self.dropped = len(samples) - len(self.samples)
        self._lengths = [min(room, len(s.prompt) + len(s.answer)) for s in self.samples]
        self._packed: dict[int, list[Row]] = {}
        self._starts = [0]  # number of the first row of each epoch known so far
        self.rows_per_epoch = len(self._epoch(0))

    def _epoch(self, epoch: int) -> list[Row]:
        """The rows of an epoch; the two newest stay packed, since a step may straddle them."""
        if epoch not in self._packed:
            rng = np.random.default_rng([self.config.training.seed, 1, epoch])
            order = rng.permutation(len(self.samples))
            rows = pack(self._lengths, order, self.config.training.row_tokens)
            rng.shuffle(rows)
            self._packed[epoch] = rows
            self._packed.pop(epoch - 2, None)
            if epoch + 1 == len(self._starts):
                self._starts.append(self._starts[epoch] + len(rows))
        return self._packed[epoch]

    def _pick(self, number: int) -> Row:
        """The number-th row of an endless run of epochs."""
        while number >= self._starts[-1]:
            self._epoch(len(self._starts) - 1)
        epoch = bisect.bisect_right(self._starts, number) - 1
        return self._epoch(epoch)[number - self._starts[epoch]]

    def block_size(self, step: int) -> int:
        sizes = self.config.seed_diffusion.block_size
        rng = np.random.default_rng([self.config.training.seed, 2, step])
        return int(sizes[rng.integers(len(sizes))])

    def at(self, step: int, micro: int = 0, *, edits: bool = False) -> Batch:
        """The batch of a step. edits: stage 2, in which a share of the blocks carries edit corruption."""
        training = self.config.training
        rng = np.random.default_rng([training.seed, 3, step, micro])
        R, T, B = training.micro_batch_size, training.row_tokens, self.block_size(step)
        N = training.draft_tokens // B
        first = (step * training.gradient_accumulation_steps + micro) * R
        rows = [[self.samples[i] for i in self._pick(first + r).members] for r in range(R)]
        ids_RT, position_RT, document_RT, answer_RT = lay_out(rows, T, self.mask_id)
        ends_RT = _document_ends(document_RT)
        order = edits and self.config.seed_diffusion.constrained_order
        mixture = Mixture.of(self.config.objectives, N, edits=edits, order=order)
        anchor_RN, begin_RN = self._anchors(rng, mixture, position_RT, answer_RT, ends_RT)
        column_RNB = anchor_RN[..., None] + np.arange(B)
        end_RN1 = np.take_along_axis(ends_RT, anchor_RN, 1)[..., None]
        row = np.arange(R)[:, None, None]
        inside_RNB = column_RNB < end_RN1
        truth_RNB = np.where(inside_RNB, ids_RT[row, np.minimum(column_RNB, T - 1)], self.mask_id)
        ahead_RNB = column_RNB + 1
        known_RNB = ahead_RNB < end_RN1
        target_RNB = np.where(known_RNB, ids_RT[row, np.minimum(ahead_RNB, T - 1)], NO_TARGET)
        draft_ids_RNB, weight_RNB, certain_RNB = mixture.corrupt(
            truth_RNB, inside_RNB, ids_RT, self.mask_id, rng
        )
        weight_RNB = weight_RNB * known_RNB
        queries = length.queries(rows, self.edges, T)
        target_RT, next_weight_RT = next_token.targets(
            ids_RT, answer_RT, ends_RT, self.scaffold, self.config.objectives.scaffold
        )
        return Batch(
            ids_RT,
            position_RT,
            document_RT,
            anchor_RN,
            begin_RN,
            draft_ids_RNB,
            truth_RNB,
            target_RNB,
            weight_RNB.astype(np.float32),
            (certain_RNB * known_RNB).astype(np.float32),
            mixture.draft,
            mixture.order,
            (training.seed, 4, step, micro),
            target_RT,
            next_weight_RT,
            *queries,
            np.zeros(R, np.bool_),
        )

    def _anchors(
        self,
        rng: np.random.Generator,
        mixture: Mixture,
        position_RT: Ints,
        answer_RT: npt.NDArray[np.bool_],
        ends_RT: Ints,
    ) -> tuple[Ints, Ints]:
        """Columns that predict an answer token, drawn evenly; each kind of block sorted by column, which
        keeps the attention mask's tiles sparse. Pairs of complementary blocks share an anchor."""
        R, T = answer_RT.shape
        able_RT = np.zeros_like(answer_RT)
        able_RT[:, :-1] = answer_RT[:, 1:] & (np.arange(T - 1) + 1 < ends_RT[:, :-1])
        anchors = np.empty((R, mixture.blocks), np.int64)
        for r in range(R):
            columns = np.flatnonzero(able_RT[r])
            begin = 0
            for count, copies in mixture.groups():
                wanted = count // copies
                drawn = np.sort(rng.choice(columns, wanted, replace=wanted > len(columns)))
                anchors[r, begin : begin + count] = np.tile(drawn, copies)
                begin += count
        begins = anchors - np.take_along_axis(position_RT, anchors, 1)
        return anchors, begins


def lay_out(
    rows: Sequence[Sequence[Sample]], T: int, fill: int
) -> tuple[Ints, Ints, Ints, npt.NDArray[np.bool_]]:
    """(ids, position in the sample, sample within the row or -1, part of an answer or not), each [R, T]."""
    R = len(rows)
    ids = np.full((R, T), fill, np.int64)
    position = np.zeros((R, T), np.int64)
    document = np.full((R, T), -1, np.int64)
    answer = np.zeros((R, T), np.bool_)
    for r, samples in enumerate(rows):
        start = 0
        for d, sample in enumerate(samples):
            tokens = np.concatenate((sample.prompt, sample.answer))[: T - start]
            stop = start + len(tokens)
            ids[r, start:stop] = tokens
            position[r, start:stop] = np.arange(len(tokens))
            document[r, start:stop] = d
            answer[r, start + len(sample.prompt) : stop] = True
            start = stop
    return ids, position, document, answer


def _document_ends(document_RT: Ints) -> Ints:
    """For each column the column after the last of its document."""
    R, T = document_RT.shape
    ends = np.empty((R, T), np.int64)
    for r in range(R):
        change = np.flatnonzero(np.diff(document_RT[r])) + 1
        edges = np.concatenate((change, [T]))
        ends[r] = edges[np.searchsorted(edges, np.arange(T), side="right")]
    return ends

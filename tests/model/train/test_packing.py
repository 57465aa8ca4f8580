"""Batches: what is packed, masked and targeted; the same for the same (seed, step) and never across
samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.packages import DataError
from model.data.samples import Sample, Samples
from model.train.config import TrainConfig
from model.train.objectives import draft, edit, infill, length
from model.train.packing import NO_TARGET, Batch, Batches, pack

MASK = 259
Make = Callable[..., TrainConfig]


@given(st.lists(st.integers(2, 60), min_size=1, max_size=80), st.integers(60, 100))
def test_pack_places_every_sample_once_and_in_room(lengths: list[int], room: int) -> None:
    rows = pack(lengths, np.arange(len(lengths)), room)
    assert sorted(i for row in rows for i in row.members) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row.members) <= room for row in rows)


def test_same_step_same_batch_other_step_other_batch(make_config: Make, samples: Samples) -> None:
    a, b = (Batches(samples, make_config(), MASK) for _ in range(2))
    b.at(40)  # what was asked before does not matter
    for one, other in zip(fields(a.at(7)), fields(b.at(7)), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(a.at(7).ids_RT, a.at(8).ids_RT)


def fields(batch: Batch) -> list[object]:
    return [getattr(batch, f.name) for f in dataclasses.fields(batch)]


@settings(max_examples=25)
@given(step=st.integers(0, 60), edits=st.booleans())
def test_targets_follow_their_anchor_within_the_sample(step: int, edits: bool) -> None:
    rng = np.random.default_rng(5)
    items = [
        Sample(
            rng.integers(0, 250, 9).astype(np.int32),
            rng.integers(0, 250, rng.integers(3, 40)).astype(np.int32),
        )
        for _ in range(30)
    ]
    config = TrainConfig.parse(
        {
            "training": {"micro_batch_size": 2, "row_tokens": 128, "draft_tokens": 64},
            "seed_diffusion": {"block_size": [8, 16]},
        }
    )
    batch = Batches(Samples(items), config, MASK).at(step, edits=edits)
    R, N, B = batch.target_RNB.shape
    for r in range(R):
        for n in range(N):
            anchor = batch.anchor_RN[r, n]
            assert batch.draft_ids_RNB[r, n, 0] == batch.ids_RT[r, anchor]
            assert batch.document_RT[r, anchor] >= 0
            assert batch.position_RT[r, anchor] == anchor - batch.begin_RN[r, n]
            for j in range(B):
                ahead = anchor + 1 + j
                inside = ahead < 128 and batch.document_RT[r, ahead] == batch.document_RT[r, anchor]
                assert batch.target_RNB[r, n, j] == (batch.ids_RT[r, ahead] if inside else NO_TARGET)
                assert inside or batch.weight_RNB[r, n, j] == 0
    assert (batch.weight_RNB[:, :, 0] > 0).any()


def test_every_answer_token_but_the_last_can_be_an_anchor_s_successor(
    make_config: Make, samples: Samples
) -> None:
    batch = Batches(samples, make_config(), MASK).at(0)
    rows = np.arange(len(batch.ids_RT))[:, None]
    ahead = batch.ids_RT[rows, batch.anchor_RN + 1]
    assert (batch.target_RNB[:, :, 0] == ahead).all()


@given(st.integers(1, 12), st.integers(2, 20), st.integers(0, 1000))
def test_complementary_masks_cover_each_token_once(pairs: int, B: int, seed: int) -> None:
    truth = np.arange(2 * pairs * B).reshape(2 * pairs, B) % 100
    truth[pairs:] = truth[:pairs]
    inputs, weight = infill.corrupt(truth, MASK, 0.1, 0.9, True, np.random.default_rng(seed))
    masked = inputs == MASK
    assert not masked[:, 0].any()
    assert (masked[:pairs, 1:] ^ masked[pairs:, 1:]).all()
    assert np.array_equal(weight[:, :-1] > 0, masked[:, 1:])
    assert (weight[:, -1] == 1).all()
    assert np.array_equal(inputs[~masked], truth[~masked])


def test_draft_blocks_show_one_token_and_weigh_later_ones_less() -> None:
    truth = np.arange(24).reshape(3, 8)
    inputs, weight = draft.corrupt(truth, MASK, 4.0)
    assert (inputs[:, 1:] == MASK).all()
    assert (inputs[:, 0] == truth[:, 0]).all()
    assert (np.diff(weight, axis=1) < 0).all()


@given(st.integers(2, 40), st.integers(0, 1000))
def test_edits_are_few_and_keep_the_first_token_and_the_size(B: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 90, (6, B))
    inside = np.ones_like(truth, dtype=bool)
    inside[3, B // 2 :] = False
    inputs, _ = edit.corrupt(truth, inside, np.arange(100, 110), MASK, 0.1, rng)
    assert np.array_equal(inputs[:, 0], truth[:, 0])
    assert np.array_equal(inputs[3, B // 2 :], truth[3, B // 2 :])
    # New tokens come from `words` or, where a deletion left a gap at the end, are masks.
    assert (((inputs >= 100) | (inputs == MASK)).sum(1) <= np.ceil(0.1 * B) + 1).all()


def test_length_buckets_and_cut_answers() -> None:
    items = [
        Sample(np.zeros(4, np.int32), np.zeros(n, np.int32), done)
        for n, done in ((8, True), (9, True), (99, False))
    ]
    query, bucket, cut = length.queries([items], (8, 16, 32), 200)
    assert query[0, :4].tolist() == [3, 15, 28, -1]
    assert bucket[0, :3].tolist() == [0, 1, 2]
    assert cut[0, :3].tolist() == [False, False, True]


def test_no_usable_sample_is_an_error(make_config: Make) -> None:
    empty = Samples([Sample(np.zeros(5, np.int32), np.zeros(0, np.int32))])
    with pytest.raises(DataError, match=r"no usable sample among 1.*model data answer"):
        Batches(empty, make_config(), MASK)


def test_infill_with_a_visible_beginning() -> None:
    from model.train.objectives import infill

    truth_KB = np.arange(1, 1 + 40 * 16).reshape(40, 16)
    inputs_KB, weight_KB = infill.corrupt(truth_KB, 0, 1.0, 1.0, True, np.random.default_rng(0), 1.0)
    first, second = inputs_KB[:20] == 0, inputs_KB[20:] == 0
    # Everything behind the visible beginning is masked (ratio 1), at most one forced mask within it.
    starts = np.argmax(np.cumsum(~first[:, ::-1], 1) > 0, 1)
    assert all(first[k, 16 - n :].all() for k, n in enumerate(starts))
    assert len(set(starts.tolist())) > 3
    assert (first[:, 1:] ^ second[:, 1:]).all()
    assert (weight_KB[:, :-1] == (inputs_KB == 0)[:, 1:]).all()

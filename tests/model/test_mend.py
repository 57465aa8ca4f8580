"""Mending with heads whose answer is known, and with a tiny model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.mend import mend
from tests.model.tiny_engines import make_engine

V = 50


class Counting:
    """Heads of a language in which every token is one more than the one before. The AR head knows it from the
    left, the diffusion head from both sides.
    """

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.looks = 0

    def cache(self, capacity):
        return SimpleNamespace(length=[0])

    def prefill(self, cache, ids):
        cache.length[0] += len(ids)

    def clean(self, ids, start):
        return [(token + 1) % V for token in ids]

    def block(self, ids, masked, start, number):
        assert not any(masked)
        behind = [*ids[2:], None, None][: len(ids)]
        return [(ids[i] + 1) % V if t is None else (t - 1) % V for i, t in enumerate(behind)]

    def run(self, cache, parts):
        self.looks += 1
        return torch.tensor([token for part in parts for token in part])

    def logits(self, states):
        return 6.0 * torch.nn.functional.one_hot(states, V).float()


def counted(first, count):
    return [(first + i) % V for i in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, V - 1), st.integers(2, 100), st.integers(2, 40), st.sets(st.integers(0, 24), max_size=20),
    st.integers(1, V - 1),
)  # fmt: skip
def test_damage_apart_is_mended_and_the_rest_is_left(first, count, block, places, shift):
    true = counted(first + 1, count)
    shown = list(true)
    for place in places:
        if 4 * place < count - 1:  # behind the last token nothing speaks for it
            shown[4 * place] = (shown[4 * place] + shift) % V
    assert mend(Counting(), [first], shown, V, block=block) == true


def test_a_text_that_is_right_costs_one_look_a_block():
    runner = Counting()
    assert mend(runner, [3, 4], counted(5, 62), V, block=32) == counted(5, 62)
    assert runner.looks == 2


def test_what_makes_the_text_behind_it_less_likely_is_taken_back(monkeypatch):
    """A head that is sure of nonsense is overruled."""

    class Sure(Counting):
        def block(self, ids, masked, start, number):
            return [7] * len(ids)

        def logits(self, states):
            scores = super().logits(states)
            return torch.cat((scores[: -self.shown], 5 * scores[-self.shown :]))

    runner = Sure()
    runner.shown = 9  # eight tokens behind a prompt of one: one block
    assert mend(runner, [20], counted(21, 8), V) == counted(21, 8)
    assert runner.looks == 1 + 8


@pytest.mark.parametrize("count", [1, 7, 15])  # no longer than a block and what is ahead of it
def test_a_tiny_model_writes_only_what_it_may_and_makes_no_text_less_likely(tmp_path, count):
    engine = make_engine(tmp_path)
    engine.weights.mount()
    runner, limit = engine.weights.wide, 200
    generator = torch.Generator().manual_seed(count)
    prompt, *_ = torch.randint(0, limit, (1, 9), generator=generator).tolist()
    shown = torch.randint(0, limit, (count,), generator=generator).tolist()
    made = mend(runner, prompt, shown, limit, block=8)
    assert len(made) == count
    assert max(made) < limit

    def likely(ids):
        cache = runner.cache(60)
        logits = runner.logits(runner.run(cache, [runner.clean([*prompt, *ids], 0)]))[:, :limit]
        row = logits.float().log_softmax(-1)[len(prompt) - 1 : -1]
        return float(row.gather(1, torch.tensor(ids)[:, None]).sum())

    assert likely(made) >= likely(shown) - 1e-3

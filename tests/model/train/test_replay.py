"""Replayed whole steps beside the real decoder, and what planners make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from model import verified
from model.commands.acceptance import acceptance
from model.copies import Copies
from model.data.samples import Sample, Samples
from model.drafter import Drafter, Proposal, Sibling
from model.plan import SIBLING, Plan, Planner
from model.request import GenerateRequest, complete
from model.session import Session
from model.shapes import LONGEST, PLAIN, SHAPES, Shape, ShapePlanner
from model.train.acceptance import Marks, run_length
from model.train.copied import Copied, lookup
from model.train.replay import Replay, of_one_shape, planned, sibling_order
from tests.model.tiny_engines import make_engine

TOKENS = 40


def random_marks(length: int, masks: int, rate: float, seed: int) -> Marks:
    """Of blocks whose states are right with probability `rate`, their second choices as often as not."""
    draw = np.random.default_rng(seed)
    inside = np.arange(length)[:, None] + np.arange(masks + 1) < length
    refined = (draw.random((length, masks + 1)) < rate) & inside
    second = (draw.random(refined.shape) < 0.5) & ~refined & inside
    best = draw.uniform(0.4, 1.0, refined.shape)
    sure = np.stack((best, 0.9 * (1 - best)), -1).astype(np.float32)
    return Marks(refined, refined, second, sure)


class Marked(Drafter):
    """Drafts true tokens where the marks say so, and others where not."""

    def __init__(self, truth: tuple[int, ...], prompt: int, marks: Marks) -> None:
        self._truth, self._prompt, self._marks = (*truth, *[0] * 99), prompt, marks

    def propose(self, h_BD, known, position, request, siblings=0):
        anchor = position - len(known) - (self._prompt - 1)
        first, size = len(known) - 1, h_BD.shape[0]
        if anchor >= len(self._marks.refined):
            return Proposal([])
        mine = self._marks.at(anchor)
        true = self._truth[anchor : anchor + size]
        best = [t if right else (t + 1) % 256 for t, right in zip(true, mine.refined, strict=True)]
        # Behind the first miss the sequential head has seen a wrong token: a sibling there would be wrong.
        reach = first + int(run_length(mine.refined[first:]))
        right = mine.second & (np.arange(size) <= reach)
        second = [t if ok else (t + 2) % 256 for t, ok in zip(true, right, strict=True)]
        made = [
            Sibling(place - first, (second[place], *best[place + 1 : place + SIBLING]))
            for place in sibling_order(mine, first)[:siblings]
        ]
        return Proposal(best[first:], tuple(made))


class Fixed(Planner):
    """Always the same shape and points; keeps what each step accepted."""

    def __init__(self, shape: Shape, points: tuple[int, ...]) -> None:
        super().__init__()
        self._shape, self._fixed, self.accepted = shape, points, []

    def plan(self, drafts: int, left: int, request: GenerateRequest, copied: bool = False) -> Plan:
        verify = min(drafts, self._shape.masks)
        points = tuple(point for point in self._fixed if point <= verify)
        return Plan(verify, self._shape.masks, points, self._shape.siblings)

    def observe(self, accepted: int, verified: int, copied: bool = False) -> None:
        self.accepted.append(accepted)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    """An engine and a greedy answer of it."""
    engine = make_engine(tmp_path_factory.mktemp("replay"), "qwen2")
    request = GenerateRequest(prompt="def f(", max_tokens=TOKENS, decode="ar")
    plain = complete(engine, request)
    assert plain.tokens == TOKENS
    return engine, request, plain


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([Shape(7, 3), Shape(7, 2, 2), Shape(11, 3, 1), Shape(11, 4, 4)]),
    rate=st.sampled_from([0.3, 0.8, 0.95]),
    seed=st.integers(0, 999),
    copying=st.booleans(),
)
def test_a_replay_makes_the_steps_of_the_decoder(decoded, shape, rate, seed, copying):
    engine, request, plain = decoded
    marks = random_marks(TOKENS, shape.masks, rate, seed)
    points = (0, *sorted(np.random.default_rng(seed).permutation(shape.masks)[: shape.blocks - 1] + 1))
    prompt = engine.encode(request)
    session = Session(request, prompt, engine.tokenizer, model="", decode="verified", cancel=None)
    runner, planner = engine.weights.runner, Fixed(shape, tuple(map(int, points)))
    cache = runner.cache(len(prompt) + 2 * TOKENS)
    runner.prefill(cache, prompt[:-1])
    drafter = Marked(plain.token_ids, len(prompt), marks)
    copies = Copies() if copying else None
    steps = verified.decode(runner, cache, session, drafter, planner, copies=copies)
    committed = [len(step.committed) for step in steps]
    assert tuple(session.ids) == plain.token_ids
    sample = Sample(np.array(prompt, np.int32), np.array(plain.token_ids, np.int32))
    replay, left = Replay([marks], lookup(sample, LONGEST) if copying else None), TOKENS
    for count, accepted in zip(committed, planner.accepted, strict=True):
        assert not replay.done
        made = replay.step(shape, planner._fixed)
        assert made.accepted == accepted
        assert min(made.accepted + made.beside + 1, left) == count
        left -= count
    assert replay.done


def test_steps_of_another_shape_verify_what_there_is():
    right = np.ones((30, 8), np.bool_)
    replay = Replay([Marks(right, right, ~right, np.zeros((30, 8, 2), np.float32))])
    first = replay.step(Shape(7, 1), (0,))
    assert (first.accepted, first.drafts) == (0, 7)
    assert replay.step(PLAIN, (0,)).accepted == 0  # plain steps verify nothing and draft nothing
    assert replay.step(Shape(7, 1), (0,)).accepted == 0
    made = replay.step(Shape(7, 2), (0, 4))
    assert (made.accepted, made.drafts) == (7, 4)
    assert replay.step(Shape(7, 1), (0,)).accepted == 4


def test_a_copy_that_is_trusted_is_the_line_of_a_step():
    right = np.zeros((40, 8), np.bool_)
    right[4:] = True
    marks = Marks(right, right, ~right, np.zeros((40, 8, 2), np.float32))
    length, match = np.zeros(41, np.int64), np.zeros(41, np.int64)
    length[0], match[0] = 3, 8
    length[4], match[4] = 6, 7
    length[5], match[5] = 2, 7
    replay = Replay([marks], Copied(length, match))
    assert replay.copied  # before there is any draft
    assert replay.step(Shape(7, 1, 1), (0,)).accepted == 3
    assert not replay.copied  # 7 tokens that occurred before, and the draft says others
    assert replay.step(Shape(7, 1, 1), (0,)).accepted == 0
    assert replay.copied
    made = replay.step(Shape(7, 2, 1), (0, 2))  # two that both have right, then five of the draft
    assert (made.accepted, made.beside, made.drafts) == (2, 5, 7 - 5)
    without = Replay([marks])
    assert not without.copied
    assert without.step(Shape(7, 1), (0,)).accepted == 0


def test_a_planner_is_paid_by_the_ms_of_its_steps():
    shapes = Shape(7, 3), Shape(15, 3)
    times = {PLAIN: 1.0, shapes[0]: 1.3, shapes[1]: 1.6}
    for rate, best in ((0.3, shapes[0]), (0.97, shapes[1])):
        answer = Replay([random_marks(900, 15, rate, 1)])
        fixed = {shape: of_one_shape(answer, shape, times) for shape in shapes}
        ours = planned(answer, ShapePlanner(times), times)
        assert max(fixed, key=lambda shape: fixed[shape].speed) == best
        assert ours.speed > 0.9 * fixed[best].speed
        assert all(made.ms == pytest.approx(made.steps * times[shape]) for shape, made in fixed.items())
        assert all(900 <= made.tokens < 900 + 16 for made in (*fixed.values(), ours))


def test_the_command_prints_every_shape_and_the_planner(decoded, tmp_path):
    engine, request, plain = decoded
    answer = np.array(plain.token_ids, np.int32)
    path = tmp_path / "answers.npz"
    Samples([Sample(np.array(engine.encode(request), np.int32), answer)]).save(path)
    fixed = [str(engine.folder.parent / "heads-qwen20"), str(path), "--base", str(engine.folder), "--shapes"]
    made = CliRunner().invoke(acceptance, [*fixed, "--json"], catch_exceptions=False)
    found = json.loads(made.output)["shapes"]["answers"]
    assert found.keys() == {*map(str, SHAPES), "best", "planner"}
    for how in ("", "_with_copies"):
        assert all(1 <= figures[f"tokens_a_step{how}"] <= TOKENS for figures in found.values())
    shown = CliRunner().invoke(acceptance, fixed, catch_exceptions=False).output
    assert all(str(shape) in shown for shape in SHAPES)
    short = CliRunner().invoke(acceptance, [*fixed, "--block", "8"])
    assert short.exit_code == 2
    assert "--block of 32 or more" in short.output

"""The engine over whole steps: a stand-in for the device does each step by plain passes of the same shape."""

from __future__ import annotations

import dataclasses

import pytest

from model.drafter import Drafter
from model.judge import choose
from model.plan import Plan, coverage
from model.planners import Planners
from model.request import GenerateRequest, complete
from model.shapes import PLAIN, SHAPES
from model.verified import Verified, _parts
from tests.model.tiny_engines import make_engine


class PlainSteps:
    """What model.steps.WholeSteps promises, on any device; the draft is the truth where there is one."""

    def __init__(self, runner, limit, truth=()) -> None:
        self.runner, self.limit, self.truth = runner, limit, truth
        self.shapes = []

    def serves(self, cache) -> bool:
        self.cache = cache
        return True

    def begin(self, request, token, length, tokens, judge) -> None:
        self.judge = judge
        self.request, self.pending, self.draft, self.first = request, token, [], length + 1
        self.drafter = Drafter(self.runner, self.limit)

    def launch(self, shape, points) -> None:
        self.shapes.append(shape)
        self.shape, self.points = shape, points

    def collect(self) -> Verified:
        start, shape = self.cache.length[0], self.shape
        line = [self.pending, *self.draft[: shape.masks]]
        points = () if shape == PLAIN else tuple(p for p in self.points if p < len(line))
        plan = Plan(len(line) - 1, shape.masks, points)
        states = self.runner.run(self.cache, _parts(self.runner, line, start, plan, line[1:]))
        logits = self.runner.logits(states[: len(line)])
        ids, logs, _ = choose(logits, start + 1, self.request, line[1:], self.judge)
        accepted = 0
        while accepted < len(line) - 1 and line[accepted + 1] == ids[accepted]:
            accepted += 1
        self.pending, self.draft = ids[accepted], []
        point = coverage(plan.points, accepted)
        if point is not None:
            at = len(line) + plan.points.index(point) * (1 + shape.masks)
            known = [*line[point : accepted + 1], self.pending]
            block = states[at : at + 1 + shape.masks]
            if len(known) <= len(block):
                self.draft = self.drafter.propose(block, known, start + accepted + 2, self.request).ids
                true = self.truth[start + accepted + 2 - self.first :][: len(self.draft)]
                self.draft[: len(true)] = true
            self.draft = self.draft[: shape.masks]
        return Verified(ids[: accepted + 1], logs[: accepted + 1], self.draft)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("whole"))


def stand_in(engine, monkeypatch, truth) -> PlainSteps:
    engine.draft_with(None)
    engine.weights.mount()
    made = PlainSteps(engine.weights.wide, engine.decoders.draft_limit, truth)
    monkeypatch.setattr(engine.weights.wide, "whole_steps", lambda capacity, limit: made)
    return made


@pytest.mark.parametrize("oracle", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_whole_steps_give_the_answer_of_ar(engine, monkeypatch, temperature, oracle):
    request = GenerateRequest(
        prompt="def add(a, b):", max_tokens=60, decode="ar", temperature=temperature, top_p=0.9, seed=4
    )
    plain = complete(engine, request)
    made = stand_in(engine, monkeypatch, list(plain.token_ids) if oracle else [])
    monkeypatch.setattr("model.planners.width_curve", None)
    checked = complete(engine, dataclasses.replace(request, decode="verified"))
    assert checked.token_ids == plain.token_ids
    assert checked.logprobs == plain.logprobs
    assert checked.finish_reason == plain.finish_reason
    if oracle:
        assert checked.forwards < 12
        assert PLAIN not in made.shapes
    else:
        assert PLAIN in made.shapes


@pytest.mark.parametrize("block", sorted({shape.masks + 1 for shape in SHAPES}))
@pytest.mark.parametrize("decode", ["verified", "diffusion"])
@pytest.mark.parametrize("oracle", [False, True])
def test_a_block_has_its_own_shapes_and_the_answer_of_ar(engine, monkeypatch, block, decode, oracle):
    request = GenerateRequest(prompt="def add(a, b):", max_tokens=60, temperature=0.9, seed=4)
    plain = complete(engine, request)
    made = stand_in(engine, monkeypatch, list(plain.token_ids) if oracle else [])
    checked = complete(engine, dataclasses.replace(request, decode=decode, block=block, threshold=1.0))
    assert checked.token_ids == plain.token_ids
    assert checked.logprobs == plain.logprobs
    used = set(made.shapes)
    assert {shape.masks + 1 for shape in used - {PLAIN}} == {block}
    if oracle:
        assert checked.forwards <= 3 + 60 // (block // 2)
    # Useless drafts: `verified` leaves them, `diffusion` is told to fill blocks.
    assert (PLAIN in used) == (decode == "verified" and not oracle)


def test_a_lenient_answer_with_a_block_is_that_of_every_machine(engine, monkeypatch):
    """Below a threshold of 1 the answer depends on the plan, so this must not depend on measured times."""
    request = GenerateRequest(
        prompt="def add(a, b):", max_tokens=60, decode="diffusion", block=16, threshold=1e-6
    )
    shapes, answers = [], []
    for dear in [shape for shape in SHAPES if shape.masks == 15]:
        times = {PLAIN: 1.0} | {shape: 50.0 if shape == dear else 1.0 for shape in SHAPES}
        monkeypatch.setattr("model.planners.step_times", lambda steps, request, times=times: times)
        monkeypatch.setattr(engine.decoders, "planners", Planners(measuring=engine.forget))
        made = stand_in(engine, monkeypatch, [])
        answers.append(complete(engine, request).token_ids)
        shapes.append(made.shapes)
    assert shapes[0] == shapes[1]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("block", "extra"), [(10, {}), (64, {}), (16, {"branches": 4}), (16, {"siblings": 2})]
)
def test_what_no_shape_has_goes_pass_by_pass(engine, monkeypatch, block, extra):
    request = GenerateRequest(prompt="def add(a, b):", max_tokens=8, block=block, extra=extra)
    monkeypatch.setattr(engine.weights.wide, "whole_steps", None)
    engine.draft_with(None)
    plain = complete(engine, dataclasses.replace(request, extra={}))
    assert complete(engine, dataclasses.replace(request, decode="verified")).token_ids == plain.token_ids


def test_an_own_drafter_goes_pass_by_pass(engine, monkeypatch):
    request = GenerateRequest(prompt="def add(a, b):", max_tokens=8, decode="verified")
    monkeypatch.setattr(engine.weights.wide, "whole_steps", None)
    engine.weights.mount()
    engine.draft_with(type("Own", (Drafter,), {})(engine.weights.wide, engine.decoders.draft_limit))
    assert complete(engine, request).tokens
    engine.draft_with(None)

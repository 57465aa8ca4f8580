"""The engine over whole steps: a stand-in for the device does each step by plain passes of the same shape."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.copies import Copies, Joined
from model.drafter import Drafter, Sibling
from model.judge import choose
from model.kvcache import KVCache
from model.plan import Plan, coverage
from model.planners import Planners
from model.request import GenerateRequest, complete
from model.session import Session
from model.shapes import LONGEST, PLAIN, SHAPES, UNMEASURED, Shape, ShapePlanner
from model.verified import Verified, _parts, agreed, decode_whole
from tests.model.tiny_engines import make_engine, requests


class PlainSteps:
    """What model.steps.WholeSteps promises, on any device; the draft is the truth where there is one."""

    def __init__(self, runner, limit, truth=()) -> None:
        self.runner, self.limit, self.truth = runner, limit, truth
        self.shapes, self.suggested, self.running = [], 0, False

    def serves(self, cache) -> bool:
        self.cache = cache
        return True

    def begin(self, request, token, length, tokens, judge) -> None:
        self.judge = judge
        self.request, self.pending, self.draft, self.first = request, token, [], length + 1
        self.drafter, self.beside = Drafter(self.runner, self.limit), None

    def suggest(self, shape, line, beside) -> None:
        assert not self.running
        assert len(line) >= shape.masks
        self.suggested += 1
        self.draft = list(line[: shape.masks])
        self.beside = beside if shape.siblings and beside is not None and beside.at < shape.masks else None

    def launch(self, shape, points) -> None:
        assert not self.running
        self.running = True
        self.shapes.append(shape)
        self.shape, self.points = shape, points

    def settle(self) -> None:
        self.running = False

    def collect(self) -> Verified:
        assert self.running
        self.running = False
        start, shape = self.cache.length[0], self.shape
        line = [self.pending, *self.draft[: shape.masks]]
        points = () if shape == PLAIN else tuple(p for p in self.points if p < len(line))
        plan = Plan(len(line) - 1, shape.masks, points)
        beside, self.beside = [self.beside] if self.beside else [], None
        states = self.runner.run(self.cache, _parts(self.runner, line, start, plan, line[1:], beside))
        clean = len(line) + sum(len(one.ids) for one in beside)
        logits = self.runner.logits(states[:clean])
        ids, logs, _ = choose(logits[: len(line)], start + 1, self.request, line[1:], self.judge)
        accepted, added = agreed(line, ids), 0
        flow = line[: accepted + 1]
        ids, logs = ids[: accepted + 1], logs[: accepted + 1]
        for one in beside:
            if one.at == accepted and one.ids[0] == ids[-1]:
                more, their, _ = choose(logits[len(line) :], start + accepted + 2, self.request)
                added = agreed(one.ids, more) + 1
                self.cache.splice(len(line), len(flow), added)
                flow += one.ids[:added]
                ids, logs = ids + more[:added], logs + their[:added]
        self.pending, self.draft = ids[-1], []
        point = coverage(plan.points, accepted)
        if point is not None:
            at = clean + plan.points.index(point) * (1 + shape.masks)
            known = [*flow[point:], self.pending]
            block = states[at : at + 1 + shape.masks]
            if len(known) <= len(block):
                self.draft = self.drafter.propose(block, known, start + len(flow) + 1, self.request).ids
                true = self.truth[start + len(flow) + 1 - self.first :][: len(self.draft)]
                self.draft[: len(true)] = true
            self.draft = self.draft[: shape.masks]
        return Verified(ids, logs, self.draft, added)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("whole"))


SIBLINGS = {PLAIN: 1.0, Shape(7, 3): 1.3, Shape(13, 4, 2): 1.4}


@settings(max_examples=20)
@given(request=requests, times=st.sampled_from([UNMEASURED, SIBLINGS]), repeats=st.integers(1, 3))
def test_whole_steps_with_copies_give_the_answer_of_ar(engine, request, times, repeats):
    request = dataclasses.replace(request, prompt_ids=request.prompt_ids * repeats)
    plain = complete(engine, dataclasses.replace(request, decode="ar"))
    session, _ = whole(engine, request, ShapePlanner(times), Copies())
    assert tuple(session.ids) == plain.token_ids
    assert tuple(session.logprobs) == plain.logprobs


@pytest.mark.parametrize("times", [UNMEASURED, SIBLINGS])
def test_copies_save_whole_steps_of_a_text_that_repeats(engine, times):
    """Greedy decoding of a tiny model soon runs in a circle."""
    request = GenerateRequest(prompt="def f(", max_tokens=200)
    (alone, steps), (copied, fewer) = (
        whole(engine, request, ShapePlanner(times), each) for each in (None, Copies())
    )
    assert alone.ids == copied.ids
    assert steps.suggested == 0 < fewer.suggested
    assert copied.forwards < 0.6 * alone.forwards
    assert max(fewer.shapes).masks == max(shape.masks for shape in times)


def test_what_a_copy_misses_the_draft_beside_it_has(engine):
    """The copy of a text with one token changed; the draft is right everywhere."""
    request = GenerateRequest(prompt="def f(", max_tokens=60)
    plain = complete(engine, request)

    class Changed(Copies):
        def join(self, draft, most):
            line = (*draft, *[0] * most)[:most]
            return Joined(
                (*line[:2], line[2] ^ 1, *line[3:]),
                True,
                Sibling(2, tuple(draft[2:10])) if draft[2:] else None,
            )

    class Trusting(ShapePlanner):
        def reconsider(self):
            pass

    used = {}
    for shape in (Shape(13, 4), Shape(13, 4, 2)):
        planner = Trusting({PLAIN: math.inf, shape: 1.0})
        session, _ = whole(engine, request, planner, Changed(), plain.token_ids)
        assert tuple(session.ids) == plain.token_ids
        used[shape] = session.forwards
    # Three tokens a step, or eight more.
    assert used[Shape(13, 4)] >= 20 > 10 >= used[Shape(13, 4, 2)]


def test_a_step_that_nobody_collects_is_waited_for(engine):
    request = GenerateRequest(prompt="def f(", max_tokens=60)
    engine.weights.mount()
    made, session, cache = begun(engine, request, ())
    steps = decode_whole(made, cache, session, ShapePlanner(), copies=Copies())
    next(steps)
    assert made.running  # the next one is on its way
    steps.close()
    assert not made.running


def begun(engine, request, truth) -> tuple[PlainSteps, Session, KVCache]:
    """The stand-in, a session and a cache with its prompt."""
    engine.weights.mount()
    runner, prompt = engine.weights.wide, engine.encode(request)
    made = PlainSteps(runner, engine.decoders.draft_limit, truth)
    cache = runner.cache(len(prompt) + request.max_tokens + LONGEST)
    made.serves(cache)
    runner.prefill(cache, prompt[:-1])
    session = Session(request, prompt, engine.tokenizer, model="", decode="verified", cancel=None)
    return made, session, cache


def whole(engine, request, planner, copies, truth=()) -> tuple[Session, PlainSteps]:
    """An answer in whole steps."""
    made, session, cache = begun(engine, request, truth)
    for _ in decode_whole(made, cache, session, planner, copies=copies):
        pass
    return session, made


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

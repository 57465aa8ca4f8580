"""The planner of whole steps: its chain against a simulation, wide where drafts are right, else plain."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.shapes import LONGEST, PLAIN, SHAPES, UNMEASURED, Acceptance, Line, Shape, ShapePlanner, forecast
from model.verified import coverage

RATES = st.lists(st.floats(0.02, 0.98), min_size=LONGEST, max_size=LONGEST).map(tuple)


def accept(draw: random.Random, rates: list[float], left: int) -> int:
    accepted = 0
    while accepted < left and draw.random() < rates[accepted]:
        accepted += 1
    return accepted


def simulate(shape: Shape, points, fresh, late, steps: int) -> float:
    """Tokens a step, step by step."""
    draw, gap, tokens = random.Random(0), 0, 0
    for _ in range(steps):
        accepted = accept(draw, late if gap else fresh, shape.masks - gap)
        tokens += accepted + 1
        point = coverage(points, accepted)
        assert point is not None
        gap = accepted - point
    return tokens / steps


@pytest.mark.parametrize(("fresh", "late"), [(0.9, 0.7), (0.97, 0.95), (0.5, 0.2), (0.05, 0.05)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_forecast_is_what_a_simulation_gives(shape, fresh, late):
    fresh, late = (fresh,) * LONGEST, (late,) * LONGEST
    made = forecast(shape, fresh, late)
    assert simulate(shape, made.points, fresh, late, 6000) == pytest.approx(made.tokens, rel=0.04)


@settings(max_examples=30)
@given(shape=st.sampled_from(SHAPES), fresh=RATES, late=RATES)
def test_points_fit_their_shape(shape, fresh, late):
    made = forecast(shape, fresh, late)
    assert len(made.points) == shape.blocks
    assert made.points[0] == 0
    assert list(made.points) == sorted(set(made.points))
    assert made.points[-1] <= shape.masks
    assert 1 <= made.tokens <= shape.masks + 1


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.8, 0.9, 0.96])
def test_no_other_points_are_much_better(rate):
    shape, fresh, late = Shape(7, 3), (rate,) * LONGEST, (0.8 * rate,) * LONGEST
    made = forecast(shape, fresh, late)
    others = [(0, *rest) for rest in itertools.combinations(range(1, 8), 2)]
    best = max(simulate(shape, points, fresh, late, 4000) for points in others)
    assert made.tokens > 0.96 * best


def run(planner: ShapePlanner, rate: float, steps: int) -> tuple[list[Shape], float]:
    """Shapes chosen, and tokens a ms."""
    draw, left, tokens, ms = random.Random(1), 0, 0, 0.0
    shapes = []
    for _ in range(steps):
        shape, points = planner.choose()
        planner.reconsider()
        accepted = accept(draw, [rate] * LONGEST, min(left, shape.masks))
        point = coverage(points, accepted)
        assert point is not None
        left = shape.masks - (accepted - point)
        planner.observe(shape, points, accepted, left)
        shapes.append(shape)
        tokens, ms = tokens + accepted + 1, ms + UNMEASURED[shape]
    return shapes, tokens / ms


def test_useless_drafts_end_in_plain_steps_with_rare_probes():
    shapes, speed = run(ShapePlanner(), 0.0, 400)
    assert speed > 1 / (1.1 * UNMEASURED[PLAIN])
    assert 2 <= sum(shape != PLAIN for shape in shapes[100:]) <= 20


def test_better_drafts_get_longer_blocks():
    used = {}
    for rate in (0.5, 0.85, 0.99):
        shapes, _ = run(ShapePlanner(), rate, 200)
        used[rate] = max(set(shapes[50:]), key=shapes[50:].count)
    assert used[0.5].masks < used[0.85].masks < used[0.99].masks


@pytest.mark.parametrize("rate", [0.0, 0.4, 0.7, 0.9, 0.97])
def test_the_choice_is_nearly_as_fast_as_the_best_fixed_shape(rate):
    """Fixed shapes know the true rate; the planner starts from a prior and learns it."""
    rates = (rate,) * LONGEST
    fixed = [forecast(shape, rates, rates).tokens / UNMEASURED[shape] for shape in SHAPES]
    _, speed = run(ShapePlanner(), rate, 1500)
    assert speed > 0.9 * max(1 / UNMEASURED[PLAIN], *fixed)


def test_drafts_pay_again_when_the_text_becomes_easy():
    planner = ShapePlanner()
    hard, _ = run(planner, 0.0, 80)
    easy, _ = run(planner, 0.95, 200)
    assert hard[-1] == PLAIN
    assert easy[-1].masks >= 15


def test_wide_steps_that_cost_too_much_are_left():
    times = {**dict.fromkeys(SHAPES, 50.0), PLAIN: 1.0, SHAPES[0]: 2.0}
    shapes, _ = run(ShapePlanner(times), 0.95, 60)
    assert set(shapes) == {SHAPES[0]}


def test_rare_positions_borrow_from_those_before():
    acceptance = Acceptance()
    for _ in range(60):
        acceptance.observe(Line.FRESH, 2, 15)
    rates = acceptance.rates(Line.FRESH)
    assert rates[0] > 0.95
    assert rates[1] > 0.95
    assert rates[2] < 0.2
    assert rates[3] == pytest.approx(rates[2])
    for row in (Line.LATE, Line.COPIED):
        assert acceptance.rates(row)[0] == Acceptance().rates(row)[0]


def test_copies_get_longer_lines_than_drafts_and_are_judged_apart():
    planner = ShapePlanner()
    draw = random.Random(2)
    shapes = {True: [], False: []}
    for step in range(400):
        copied = step % 2 == 0
        shape, points = planner.choose(copied)
        planner.reconsider()
        rates = [0.99 if copied else 0.3] * LONGEST
        accepted = accept(draw, rates, shape.masks)
        planner.observe(shape, points, accepted, shape.masks)
        shapes[copied].append(shape)
    assert set(shapes[True][100:]) == {Shape(31, 3)}
    assert all(shape.masks <= 7 for shape in shapes[False][100:])
    assert planner.acceptance.rates(Line.COPIED)[0] > 0.95
    assert max(planner.acceptance.rates(row)[0] for row in (Line.FRESH, Line.LATE)) < 0.5


def test_copies_that_are_worse_than_drafts_are_left():
    planner = ShapePlanner()
    assert planner.copies
    for _ in range(60):
        shape, points = planner.choose(planner.copies)
        planner.reconsider()
        accepted = 0 if planner.copies else 6
        planner.observe(shape, points, min(accepted, shape.masks), shape.masks)
    assert not planner.copies


def test_a_copy_is_verified_where_drafts_do_not_pay():
    planner = ShapePlanner()
    hard, _ = run(planner, 0.0, 80)
    assert hard[-1] == PLAIN
    assert planner.choose(copied=True)[0].masks >= 15

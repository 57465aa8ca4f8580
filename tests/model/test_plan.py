"""The planner: wide where drafts are right, plain where they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.plan import SIBLING, WIDEST, Curve, Planner, coverage, points_of
from model.request import GenerateRequest

CPU = Curve((1, 8, 16, 32, 64, 128), (30.0, 38.0, 48.0, 75.0, 125.0, 230.0))
GPU = Curve((1, 16, 32, 64, 128, 256), (1.0, 1.05, 1.1, 1.2, 1.4, 2.0))
REQUEST = GenerateRequest(prompt="x")


def test_the_curve_is_a_line_between_its_points():
    assert [CPU(w) for w in (1, 8, 12, 128)] == [30, 38, 43, 230]
    assert CPU(256) > 400


@pytest.mark.parametrize("curve", [CPU, GPU])
def test_wrong_drafts_end_in_plain_decoding_with_rare_probes(curve):
    planner, drafts, cost, passes = Planner(curve), 0, 0.0, 0
    for _ in range(400):
        plan = planner.plan(drafts, 400, REQUEST)
        planner.observe(0, plan.verify)
        cost += curve(1 + plan.verify + len(plan.points) * (1 + plan.masks))
        drafts = plan.masks if plan.points else 0
        passes += 1
    assert cost / passes < 1.2 * curve(1)


def test_right_drafts_make_wide_passes_on_a_gpu_and_narrow_ones_on_a_cpu():
    wide, narrow = Planner(GPU), Planner(CPU)
    for planner in (wide, narrow):
        for _ in range(60):
            planner.observe(8, 9)
    assert wide._best()[0] >= 12
    assert wide._best()[0] * wide._best()[1] > narrow._best()[0] * narrow._best()[1]
    assert narrow._best() != (0, 0)


def test_drafts_pay_again_when_the_text_becomes_easy():
    planner, drafts = Planner(GPU), 0
    for _ in range(60):
        plan = planner.plan(drafts, 999, REQUEST)
        planner.observe(0, plan.verify)
        drafts = plan.masks if plan.points else 0
    assert planner._best()[0] <= 1
    widths = []
    for _ in range(600):
        plan = planner.plan(drafts, 999, REQUEST)
        planner.observe(plan.verify, plan.verify)
        drafts = plan.masks if plan.points else 0
        widths.append(plan.verify)
    assert max(widths) >= 8


@given(
    drafts=st.integers(0, 40),
    left=st.integers(1, 60),
    block=st.one_of(st.none(), st.integers(2, 128)),
    branches=st.integers(1, 64),
    rate=st.floats(0.01, 0.99),
    siblings=st.integers(0, 4),
)
def test_a_plan_always_fits(drafts, left, block, branches, rate, siblings):
    planner = Planner(GPU, rate=rate)
    request = GenerateRequest(prompt="x", block=block, extra={"branches": branches, "siblings": siblings})
    plan = planner.plan(drafts, left, request)
    assert 0 <= plan.verify <= min(drafts, left - 1)
    assert plan.siblings in (0, siblings)
    assert all(0 <= point <= plan.verify and point + 2 <= left for point in plan.points)
    width = 1 + plan.verify + plan.siblings * SIBLING + len(plan.points) * (1 + plan.masks)
    assert width <= WIDEST


def test_points_are_the_likely_ends():
    assert points_of(4, 0.9, 1) == (4,)
    assert points_of(4, 0.1, 2) == (0, 1)
    assert points_of(2, 0.5, 9) == (0, 1, 2)


def test_the_nearest_block_before_the_end_serves():
    assert coverage((0, 3, 8), 5) == 3
    assert coverage((0, 3, 8), 8) == 8
    assert coverage((3,), 2) is None
    assert coverage((), 0) is None


def test_copies_are_verified_as_far_as_their_own_rate_pays():
    for curve, least in ((CPU, 12), (GPU, 31)):
        planner = Planner(curve)
        plan = planner.plan(31, 400, REQUEST, copied=True)
        assert plan.verify >= least
        assert plan.points == ()
        for _ in range(6):
            planner.observe(8, 31, copied=True)
        assert planner.copies
        assert planner.plan(31, 400, REQUEST, copied=True).verify < plan.verify or curve == GPU
        assert planner.plan(31, 4, REQUEST, copied=True).verify <= 3
        assert planner.rate == Planner(curve).rate


def test_copies_that_are_worse_than_drafts_are_left():
    planner = Planner(CPU)
    assert planner.copies
    for _ in range(6):
        planner.observe(0, 15, copied=True)
    assert not planner.copies
    for _ in range(6):
        planner.observe(0, 15)
    assert planner.copies


def test_a_block_that_is_asked_for_fixes_the_pass_of_a_copy_too():
    plan = Planner(CPU).plan(15, 400, GenerateRequest(prompt="x", block=16), copied=True)
    assert (plan.verify, plan.masks, len(plan.points)) == (15, 15, 4)

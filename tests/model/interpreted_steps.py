"""Run by test_kernels.py under TRITON_INTERPRET=1: python interpreted_steps.py FOLDER greedy|sampled"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from model.bench_rows.fused import shape_rows
from model.copies import Copies
from model.cuda import CudaRunner
from model.drafter import Drafter, Sibling
from model.judge import choose
from model.plan import Plan, coverage
from model.request import GenerateRequest
from model.runner import Runner
from model.session import Session
from model.shapes import LONGEST, PLAIN, Shape, ShapePlanner
from model.tokenizer import Tokenizer
from model.verified import _parts, decode_whole
from tests.model.interpreted_models import GREEDY, PROMPT, REQUESTS, answer_of, make_runners, prefilled
from tests.model.tiny_heads import MASK_ID


def check_ar(slow: Runner, fast: CudaRunner) -> None:
    """Single steps, greedy and sampled with and without top-p."""
    for request in (*REQUESTS.values(), GenerateRequest(prompt="x", temperature=1.3, seed=3)):
        cache, last = prefilled(fast), PROMPT[-1]
        for token, log in zip(*answer_of(slow, request, 4), strict=True):
            made = fast.whole_step(cache, last, request)
            assert made is not None
            assert made[0] == token
            assert abs(made[1] - log) < 1e-3
            cache.keep(1)
            last = token


def check_shapes(slow: Runner, fast: CudaRunner, request: GenerateRequest) -> None:
    """Steps of several shapes, points that move, plain ones between: the tokens and drafts of the pass by
    pass decoder over the same plans.
    """
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    drafter = Drafter(slow, MASK_ID)
    truth, _ = answer_of(slow, request, 30)
    narrow, wide = Shape(4, 2), Shape(6, 3)
    plans: list[tuple[Shape, tuple[int, ...], int]] = [(narrow, (0, 2), 0), (narrow, (0, 1), 3)]
    plans += [(wide, (0, 1, 4), 6), (narrow, (0, 3), 2), (PLAIN, (), 0), (wide, (0, 2, 6), 0)]
    plans += [(narrow, (0, 2), 1)]
    prefilled(fast)
    cache, pending, start = prefilled(slow), PROMPT[-1], len(PROMPT) - 1
    steps.begin(request, pending, start, 60)
    draft: list[int] = []
    ends = []
    for shape, points, right in plans:
        # The tiny model's heads are seldom right: what is true is put in the place of what they drafted.
        true = truth[start - len(PROMPT) + 1 :][:right]
        draft[: len(true)] = true
        fast.draft[: len(true)].copy_(torch.tensor(true, dtype=torch.int64))
        steps.launch(shape, points)
        made = steps.collect()
        draft = draft[: shape.masks]
        plan = Plan(len(draft), shape.masks, tuple(p for p in points if p <= len(draft)))
        line = [pending, *draft]
        states = slow.run(cache, _parts(slow, line, start, plan, draft))
        chosen, _, _ = choose(slow.logits(states[: len(line)]), start + 1, request)
        accepted = 0
        while accepted < len(draft) and draft[accepted] == chosen[accepted]:
            accepted += 1
        ends.append(accepted)
        assert made.ids == chosen[: accepted + 1]
        cache.keep(accepted + 1)
        draft = []
        if shape != PLAIN:
            point = coverage(plan.points, accepted)
            assert point is not None
            at = len(line) + plan.points.index(point) * (1 + shape.masks)
            known = [*line[point : accepted + 1], chosen[accepted]]
            block = states[at : at + 1 + shape.masks]
            draft = drafter.propose(block, known, start + accepted + 2, request).ids[: shape.masks]
        assert made.draft == draft, (shape, points, accepted)
        pending, start = chosen[accepted], start + accepted + 1
    assert sum(ends) >= 12, ends


def check_siblings(slow: Runner, fast: CudaRunner, request: GenerateRequest) -> None:
    """A step proposes the siblings of the reference, takes the one that goes on where the line ends, drafts
    from there, and leaves a cache from which plain steps go on as `ar` does.
    """
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    drafter = Drafter(slow, MASK_ID)
    truth, logs = answer_of(slow, request, 14)
    shape, points = Shape(7, 2, 2), (0, 1)
    prefilled(fast)
    cache, start = prefilled(slow), len(PROMPT) - 1
    steps.begin(request, PROMPT[-1], start, 60)
    beside = [Sibling(0, (truth[0] ^ 1, truth[1])), Sibling(2, tuple(truth[2:6]))]
    draft = [*truth[:2], truth[2] ^ 1]
    fast.draft[:3].copy_(torch.tensor(draft))
    for n, sibling in enumerate(beside):
        fast.beside_at[n] = sibling.at
        fast.beside[n, : len(sibling.ids)].copy_(torch.tensor(sibling.ids))
    steps.launch(shape, points)
    made = steps.collect()
    # Two of the draft, the token that ended it, and behind that what the sibling's four tokens gave.
    assert made.ids == truth[:7]
    assert made.beside == 4
    assert all(abs(ours - theirs) < 1e-3 for ours, theirs in zip(made.logs, logs, strict=False))
    line = [PROMPT[-1], *draft]
    states = slow.run(cache, _parts(slow, line, start, Plan(3, 7, points, 2), draft, beside))
    at = len(line) + 6 + 8
    known = [line[1], truth[1], *truth[2:6], truth[6]]
    proposal = drafter.propose(states[at : at + 8], known, start + 8, request, 2)
    assert made.draft == proposal.ids[:7]
    places, rows = fast.beside_at.tolist(), fast.beside.tolist()
    got = {
        at: [token for token in ids if token >= 0] for at, ids in zip(places, rows, strict=True) if at >= 0
    }
    assert got == {sibling.at: list(sibling.ids) for sibling in proposal.siblings}
    after = []
    for _ in range(3):
        steps.launch(PLAIN, ())
        after += steps.collect().ids
    assert after == truth[7:10]


def check_suggested(slow: Runner, fast: CudaRunner, request: GenerateRequest) -> None:
    """A line that the host suggests stands in for the device's draft, and what goes on beside it is taken;
    without siblings in the shape the line alone is, and a plain step leaves it as it is.
    """
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    truth, _ = answer_of(slow, request, 20)
    for shape, ends in ((Shape(7, 2, 2), 6), (Shape(7, 2), 2)):
        prefilled(fast)
        steps.begin(request, PROMPT[-1], len(PROMPT) - 1, 60)
        steps.launch(shape, (0, 1))
        first = steps.collect()
        assert first.ids == truth[:1]
        line = [*truth[1:3], truth[3] ^ 1, *[0] * (LONGEST - 3)]
        steps.suggest(shape, line, Sibling(2, tuple(truth[3:7])))
        steps.launch(shape, (0, 2))
        made = steps.collect()
        # Two of the line, the token that ended it, and behind that what the sibling's four tokens gave.
        assert made.ids == truth[1 : 2 + ends], shape
        assert made.beside == ends - 2
        at = 2 + ends
        steps.suggest(shape, [*truth[at : at + 7], *[0] * LONGEST], None)
        steps.launch(shape, (0, 2))
        assert steps.collect().ids == truth[at : at + 8]
        at += 8
        steps.launch(PLAIN, ())
        assert steps.collect().ids == truth[at : at + 1]
        steps.launch(shape, (0, 1))
        steps.settle()


def check_whole(folder: Path, slow: Runner, fast: CudaRunner, request: GenerateRequest) -> None:
    """The decoder over whole steps gives the answer of `ar`, whatever its planner likes."""
    tokenizer = Tokenizer(folder / "tiny")
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    planner = ShapePlanner({PLAIN: 1.0, Shape(3, 2): 1.2, Shape(4, 2, 2): 1.25})
    for copies in (None, Copies([*PROMPT, *answer_of(slow, request, 9)[0]])):  # all is copied
        session = Session(request, PROMPT, tokenizer, model="", decode="verified", cancel=None)
        done = list(decode_whole(steps, prefilled(fast), session, planner, copies=copies))
        assert session.ids == answer_of(slow, request, 9)[0][: len(session.ids)]
        assert session.finish == "length" or session.ids[-1] in tokenizer.eos_ids
        assert copies is None or len(done) <= 4


def check_bench(fast: CudaRunner) -> None:
    """`model bench --only fused` over two shapes: their answers are those of plain steps, and a shape that
    cannot be run takes only its own rows.
    """
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    wrong, good = Shape(LONGEST + 1, 1), Shape(4, 2)
    first, *rows = shape_rows(steps, [PROMPT], 5, frozenset(), (wrong, good))
    assert first.value is None, first
    assert [row.error for row in rows] == ["", "", ""], rows
    assert rows[-1].ratio == 1, rows


torch.manual_seed(0)
place = Path(sys.argv[1])
runners = make_runners(place)
each = REQUESTS[sys.argv[2]]
check_ar(*runners)
check_shapes(*runners, each)
check_siblings(*runners, each)
check_suggested(*runners, each)
check_whole(place, *runners, each)
if each is GREEDY:
    check_bench(runners[1])
print("all equal")

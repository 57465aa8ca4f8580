"""Run by test_kernels.py under TRITON_INTERPRET=1: python interpreted_lenient.py FOLDER greedy|sampled"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch

from model import sampling
from model.cuda import CudaRunner
from model.drafter import Drafter
from model.judge import EXACT, Judge, choose
from model.plan import Plan
from model.request import GenerateRequest
from model.runner import Runner
from model.session import Session
from model.shapes import PLAIN, Shape, ShapePlanner
from model.tokenizer import Tokenizer
from model.verified import _parts, agreed, decode_whole
from tests.model.interpreted_models import PROMPT, REQUESTS, make_runners, prefilled
from tests.model.tiny_heads import MASK_ID


def second_choices(slow: Runner, request: GenerateRequest, count: int) -> tuple[list[int], list[float]]:
    """Drafts, those at odd places the AR head's second choice after the ones before, and how far each lies
    below the first choice.
    """
    cache, last = prefilled(slow), PROMPT[-1]
    draft, below = [], []
    for place in range(count):
        states = slow.run(cache, [slow.clean([last], cache.length[0])])
        cache.keep(1)
        scores = sampling.scores(
            slow.logits(states),
            torch.tensor([cache.length[0]]),
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
        )
        top = scores[0].topk(2)
        last = int(top.indices[place % 2])
        draft.append(last)
        below.append(float(top.values[0] - top.values[place % 2]))
    return draft, below


def check_lenient(slow: Runner, fast: CudaRunner, request: GenerateRequest) -> None:
    """A lenient step keeps what the plain path keeps, with its log probabilities and its draft; plain steps
    go on from the cache that it leaves. Without lenience it is the exact step, bit for bit.
    """
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    shape, points, start = Shape(8, 2), (0, 5), len(PROMPT) - 1
    draft, below = second_choices(slow, request, 6)
    assert below[1] < below[3]  # so there is a lenience that keeps the first of them only
    enough = math.exp(-(below[1] + min(below[3], below[1] + 1)) / 2 * (request.temperature or 1.0))
    made = {}
    for how in (EXACT, Judge(enough), Judge(1e-30), Judge(1e-30, 1), Judge(1e-30, 2)):
        cache = prefilled(slow)
        states = slow.run(cache, _parts(slow, [PROMPT[-1], *draft], start, Plan(6, 8, points), draft))
        ids, logs, _ = choose(slow.logits(states[:7]), start + 1, request, draft, how)
        accepted = agreed([PROMPT[-1], *draft], ids)
        prefilled(fast)
        steps.begin(request, PROMPT[-1], start, 60, how)
        fast.draft[:6].copy_(torch.tensor(draft))
        steps.launch(shape, points)
        made[how] = steps.collect()
        assert made[how].ids == ids[: accepted + 1]
        assert all(abs(a - b) < 1e-3 for a, b in zip(made[how].logs, logs, strict=False))
        point = max(p for p in points if p <= accepted)
        block = states[7 + points.index(point) * 9 :][:9]
        known = [*[PROMPT[-1], *draft][point : accepted + 1], ids[accepted]]
        drafted = Drafter(slow, MASK_ID).propose(block, known, start + accepted + 2, request).ids
        assert made[how].draft == drafted[:8]
        cache.keep(accepted + 1)
        last = ids[accepted]
        for _ in range(2):
            states = slow.run(cache, [slow.clean([last], cache.length[0])])
            cache.keep(1)
            (last,), _, _ = choose(slow.logits(states), cache.length[0], request)
            steps.launch(PLAIN, ())
            assert steps.collect().ids == [last]
    # What top-p cuts off stays under no lenience. Between two second choices lies one token that both like.
    most = (6, 5) if math.isfinite(below[3]) else (3, 3)
    assert [len(step.ids) - 1 for step in made.values()] == [1, 3, *most, 1]
    prefilled(fast)
    steps.begin(request, PROMPT[-1], start, 60)
    steps._judge = Judge(0.5)  # in a lenient step, but without the slack of it
    fast.draft[:6].copy_(torch.tensor(draft))
    steps.launch(shape, points)
    assert steps.collect() == made[EXACT]


def check_lenient_whole(
    folder: Path, slow: Runner, fast: CudaRunner, request: GenerateRequest, how: Judge
) -> None:
    """A whole lenient answer, with siblings: each token is the AR head's own or near enough to it, after the
    tokens before it by plain torch, and its log probability is that.
    """
    steps = fast.whole_steps(100, MASK_ID)
    assert steps is not None
    planner = ShapePlanner({PLAIN: 1.0, Shape(4, 2, 2): 1.05})
    session = Session(request, PROMPT, Tokenizer(folder / "tiny"), model="", decode="diffusion", cancel=None)
    done = list(decode_whole(steps, prefilled(fast), session, planner, how))
    ids = [*PROMPT, *session.ids]
    logits = slow.logits(slow.run(slow.cache(100), [slow.clean(ids[:-1], 0)]))[len(PROMPT) - 1 :]
    token, positions = torch.tensor(session.ids), torch.arange(len(PROMPT), len(ids))
    scores = sampling.scores(
        logits, positions, temperature=request.temperature, top_p=request.top_p, seed=request.seed
    )
    gap = scores.amax(-1) - scores.gather(-1, token[:, None])[:, 0]
    assert float(gap.max()) < 1e-3 - how.slack(request.temperature)
    log = torch.tensor(session.logprobs)
    torch.testing.assert_close(log, sampling.logprob(logits, token), rtol=1e-3, atol=1e-3)
    if how.lenience < 1e-6 and not request.temperature:  # top-p leaves the sampled one little to stay
        assert len(done) < len(session.ids)
        assert bool((gap > 1e-3).any())


torch.manual_seed(0)
place = Path(sys.argv[1])
runners = make_runners(place)
each = REQUESTS[sys.argv[2]]
check_lenient(*runners, each)
for lenience in (0.3, 1e-9):
    check_lenient_whole(place, *runners, each, Judge(lenience))
print("all equal")

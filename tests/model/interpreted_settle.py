"""Run by test_kernels.py under TRITON_INTERPRET=1: python interpreted_settle.py FOLDER.

A step's bookkeeping against what model.verified and model.drafter say in plain Python, over made-up answers.
"""

from __future__ import annotations

import random

import torch

from model.drafter import _norm, promises
from model.judge import settled
from model.kernels.attention import BESIDE
from model.kernels.leave import keep, leave
from model.kernels.sequence import Block, Chain
from model.kernels.settle import Carried, Columns, Settled, lay, settle
from model.kernels.verdict import verdict
from model.plan import coverage
from model.roles import Role

OWN, MOST, LONGEST, VOCAB, D = 4, 3, 12, 50, 24
EMBEDDING = torch.randn(VOCAB, D)
HIDDEN = torch.randn(D)


def carried(draft: list[int], beside: list[list[int]], at: list[int], length: int) -> Carried:
    """Behind the token 7; every list is filled up with -1."""
    rows = [ids + [-1] * (OWN - len(ids)) for ids in beside + [[]] * (MOST - len(beside))]
    return Carried(
        torch.tensor([7]),
        torch.tensor(draft + [-1] * (LONGEST - len(draft))),
        torch.tensor(rows),
        torch.tensor(at + [-1] * (MOST - len(at))),
        torch.tensor([length], dtype=torch.int32),
    )


def check_lay(columns: Columns, state: Carried) -> None:
    """Every column's vector, role, position, block and begin."""
    laid, n = lay(columns, state, EMBEDDING, HIDDEN), int(state.length)
    line = [7, *state.draft[: columns.masks].tolist()]
    x, fields, forks, drafted = [], [], [], [*line[1:], -1]
    for place, token in enumerate(line):
        x.append(EMBEDDING[max(token, 0)])
        fields.append((int(Role.CLEAN), n + place, 0, n))
    for s in range(columns.siblings):
        forks.append(n + 1 + max(int(state.beside_at[s]), 0))
        drafted += [*state.beside[s, 1:].tolist(), -1]
        for i in range(OWN):
            x.append(EMBEDDING[max(int(state.beside[s, i]), 0)])
            fields.append((BESIDE, forks[-1] + i, 0, n))
    for number, point in enumerate(columns.points.tolist(), 1):
        for i in range(columns.masks + 1):
            x.append(HIDDEN if i else EMBEDDING[max(line[point], 0)])
            fields.append((int(Role.DRAFT), n + point + i, number, n + point))
    assert torch.equal(laid.x_TD, torch.stack(x))
    assert laid.fields.T.tolist() == [list(row) for row in fields]
    assert laid.positions.tolist() == [row[1] + 1 for row in fields[: columns.clean]]
    assert laid.drafted.tolist() == drafted
    assert laid.forks[: columns.siblings].tolist() == forks


def check_settle(columns: Columns, state: Carried, chosen: list[int]) -> tuple[int, int]:
    """How many tokens are accepted and added; the block fetched, what is known in it, the cache."""
    b, n = columns.masks + 1, int(state.length)
    report, states = torch.randn(3, columns.clean), torch.randn(columns.width, D)
    cache = torch.randn(2, 2, 1, 2, 64, 8)
    before, out = cache.clone(), torch.zeros(3 * columns.clean + 3)
    made = settle(columns, state, torch.tensor(chosen), report, states, EMBEDDING, (cache[0], cache[1]), out)
    line = [7, *state.draft[: columns.masks].tolist()]
    accepted = 0
    while accepted < columns.masks and line[accepted + 1] == chosen[accepted]:
        accepted += 1
    right, pending, taken, added = line[: accepted + 1], chosen[accepted], 0, 0
    for s in range(columns.siblings):
        ids, answers = state.beside[s].tolist(), chosen[b + s * OWN :][:OWN]
        if int(state.beside_at[s]) == accepted and ids[0] == pending:
            taken, added = s, 1
            while added < OWN and ids[added] == answers[added - 1]:
                added += 1
            right += ids[:added]
            pending = answers[added - 1]
            source, target = n + b + s * OWN, n + accepted + 1
            before[..., target : target + OWN, :] = before[..., source : source + OWN, :].clone()
            break
    assert torch.equal(cache, before)
    assert out[:-3].tolist() == report.flatten().tolist()
    assert out[-3:].tolist() == [accepted, taken, added]
    point = coverage(columns.points.tolist(), accepted)
    assert point is not None
    known = [*right[point:], pending]
    first = len(known) - 1
    assert made.facts.tolist() == [first, n + len(right), pending]
    at = columns.clean + columns.points.tolist().index(point) * b
    assert torch.equal(made.block_BD, states[at : at + b])
    torch.testing.assert_close(made.units[:b], _norm(states[at : at + b]))
    shown = EMBEDDING[torch.tensor([max(token, 0) for token in [*known, *[pending] * b][:b]])]
    torch.testing.assert_close(made.units[b:], _norm(shown))
    assert made.positions.tolist() == [n + point + 1 + i for i in range(b)]
    return accepted, added


def check_leave(columns: Columns, state: Carried, first: int, sure_B2: torch.Tensor) -> None:
    """The draft from behind `first`, siblings at the places of model.drafter.promises, of equal ones the
    first, and none where nothing is promised.
    """
    b, C, S = columns.masks + 1, 4, columns.siblings
    index, vocab = torch.randint(0, VOCAB, (b, C)), torch.randperm(VOCAB)
    chain = Chain(
        torch.randint(0, VOCAB, (b,)), sure_B2, torch.randint(0, C, (b,), dtype=torch.int32), sure_B2
    )
    facts, out = torch.tensor([first, 31, 9], dtype=torch.int32), torch.zeros(columns.masks)
    nothing = torch.zeros(0)
    block = Block(nothing, nothing, index, nothing, facts, vocab, nothing, nothing, nothing)
    settled = Settled(facts, nothing, nothing, nothing)
    others = state.beside.clone()
    begins, picked = leave(columns, state, settled, block, chain, out)
    draft = [*chain.tokens_B[first:].tolist(), *[-1] * LONGEST][: columns.masks]
    assert state.draft.tolist() == draft + [-1] * (LONGEST - columns.masks)
    assert out.tolist() == draft
    assert (int(state.length), int(state.pending)) == (31, 9)
    gain = promises(sure_B2, first)
    order = sorted(range(b), key=lambda place: (-float(gain[place]), place))[:S]
    places = [place - first if gain[place] > 0 else -1 for place in order]
    assert state.beside_at.tolist() == places + [-1] * (MOST - len(places))
    for s, place in enumerate(order):
        if gain[place] > 0:
            number = int(chain.second_B[place])
            assert (int(begins[s]), int(picked[s])) == (place, number)
            assert int(state.beside[s, 0]) == int(vocab[index[place, number]])
    others[:S, 0] = state.beside[:S, 0]
    assert torch.equal(state.beside, others)


def check_keep() -> None:
    state, out = carried([], [], [], 20), torch.zeros(3)
    report = torch.randn(3, 1)
    keep(state, torch.tensor([11]), report, out)
    assert (int(state.pending), int(state.length), out.tolist()) == (11, 21, report[:, 0].tolist())


def check_verdict(window: int, slack: float) -> int:
    """The judge's tokens with their report, or the chosen ones' without drafts; how many drafts stay."""
    logits, N = torch.randn(9, VOCAB), 9
    scores = logits.round()  # with ties
    own, drafts, norm = scores.argmax(-1), torch.randint(-1, VOCAB, (N,)), logits.logsumexp(-1)
    drafts[2:7] = torch.where(torch.rand(5) < 0.7, own[2:7], drafts[2:7])
    ids = settled(scores, own, drafts, slack, window)
    for tokens, beside in ((ids, drafts), (own, None)):
        report, made = verdict(scores, logits, own, norm, beside, torch.tensor(slack), window)
        log = logits.gather(-1, tokens[:, None])[:, 0] - norm
        assert torch.equal(made, tokens)
        assert torch.equal(report, torch.stack((tokens.float(), log, norm)))
    return int((ids != own).sum())


def check_steps(seed: int) -> tuple[int, int, int]:
    """One made-up step; how much of its draft there was, was accepted and was added."""
    draw = random.Random(seed)
    masks, siblings = draw.randint(1, LONGEST), draw.randint(0, MOST)
    points = sorted({0, *draw.choices(range(masks + 1), k=draw.randint(0, 3))})
    columns = Columns(masks, siblings, OWN, torch.tensor(points))
    # Few ids, so that drafts and siblings are often right; a draft may be longer than the step verifies.
    draft = [draw.randrange(2) for _ in range(draw.randint(0, LONGEST))]
    chosen = [draft[i] if i < len(draft) and draw.random() < 0.8 else draw.randrange(3) for i in range(masks)]
    chosen += [draw.randrange(3) for _ in range(columns.clean - masks)]
    beside = [[draw.randrange(2) for _ in range(draw.randint(1, OWN))] for _ in range(siblings)]
    at = [draw.randint(-1, masks - 1) for _ in beside]
    if siblings and draw.random() < 0.6:
        # The last one goes on where the line ends, for some of its tokens.
        line = [*draft, *[-1] * LONGEST]
        ends = next((i for i in range(masks) if line[i] != chosen[i]), masks)
        answers = chosen[columns.clean - OWN :]
        at[-1], beside[-1] = ends, [chosen[ends], *answers[: draw.randrange(OWN)]]
    state = carried(draft, beside, at, draw.randint(0, 20))
    check_lay(columns, state)
    accepted, added = check_settle(columns, state, chosen)
    sure_B2 = torch.rand(masks + 1, 2).sort(-1, descending=True).values / 2
    if seed % 3 == 0:
        # Equal promises: a token that is never wrong makes the next place's reach that of its own.
        sure_B2 = torch.tensor([[1.0, 0.0], [0.0, 0.5]])[torch.randint(0, 2, (masks + 1,))]
    check_leave(columns, state, draw.randint(1, masks + 3), sure_B2)
    return min(len(draft), masks), accepted, added


random.seed(0)
torch.manual_seed(0)
check_keep()
assert check_verdict(0, 0.0) == 0
assert sum(check_verdict(0, -3.0) for _ in range(5)) > 1
assert sum(check_verdict(window, -4.0) for window in (1, 2, 3) * 5) > 1
seen = [check_steps(seed) for seed in range(60)]
assert any(accepted == drafted > 3 for drafted, accepted, _ in seen)
assert {0, 1, OWN} <= {added for _, _, added in seen}
print("all equal")

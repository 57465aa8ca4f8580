"""Run by test_kernels.py under TRITON_INTERPRET=1: python interpreted_kernels.py FOLDER."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from model import sampling
from model.base import Base
from model.batch import Batch, Job
from model.cuda import CudaRunner
from model.cuda_lanes import CudaLanes
from model.headconfig import HeadsConfig
from model.heads import HeadSet
from model.kernels.attention import attend
from model.kernels.choice import greedy
from model.kernels.linear import Workspace, linear, linear_reference
from model.kernels.noise import gumbel, noisy, uniform
from model.kernels.pointwise import norm_heads
from model.kernels.runs import LAST_SPANS, SPAN, RunSpace
from model.kvcache import clean_tokens, draft_tokens, length_token, pack_tokens
from model.lanes import Lanes
from model.request import GenerateRequest
from model.roles import visible
from model.rope import rotate, rotation
from model.runner import Runner
from model.session import Session
from model.tiny import tiny_folder
from model.tokenizer import Tokenizer
from tests.model.interpreted_models import make_runners
from tests.model.tiny_heads import MASK_ID, randomise, small_config


def check_linear() -> None:
    space = Workspace(torch.device("cpu"))
    for N, K, gated in ((192, 256, False), (128, 512, True), (100, 128, False)):
        weight = torch.randn(N * (1 + gated), K) * 0.05
        bias = None if gated else torch.randn(N)
        for T in (1, 5, 20, 60):
            x, old = torch.randn(T, K), torch.randn(T, N)
            ours = linear(x, weight, space, bias=bias, residual=old, gated=gated)
            theirs = linear_reference(x, weight, bias=bias, residual=old, gated=gated)
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def check_norm_heads() -> None:
    """Heads of q and k normed in place as RMSNorm norms them; values stay."""
    H, G, K, eps = 4, 2, 16, 1e-6
    qkv, weights = torch.randn(3, (H + 2 * G) * K), torch.rand(2, K) + 0.5
    heads = qkv.view(3, H + 2 * G, K).clone()
    norm_heads(qkv, H, G, (weights[0], weights[1], eps))
    normed = heads * torch.rsqrt(heads.square().mean(-1, keepdim=True) + eps)
    torch.testing.assert_close(qkv.view_as(heads)[:, :H], normed[:, :H] * weights[0])
    torch.testing.assert_close(qkv.view_as(heads)[:, H:-G], normed[:, H:-G] * weights[1])
    assert torch.equal(qkv.view_as(heads)[:, -G:], heads[:, -G:])


def check_attention() -> None:
    """A pass of all roles against plain torch, behind a history over several runs of keys. What it leaves in
    the cache has the bits of plain rotation. Its rows have the same bits when the cache may be in use up to
    where a launch of its own puts the runs together, and a token's when it comes alone.
    """
    G, REP, K, slots = 2, 3, 16, SPAN * (LAST_SPANS + 1)
    H, n = G * REP, 2 * SPAN - 3
    device = torch.device("cpu")
    base = 10000.0 ** (-torch.arange(0, K, 2) / K)
    cos, sin = (
        t[0, :, 0].contiguous() for t in rotation(base, 1.0, torch.arange(slots)[None], torch.float32)
    )
    # The line of 5, padding, two blocks behind its first and third token, a length query.
    parts = (clean_tokens(n, 5), clean_tokens(7, 1), draft_tokens(n, 4, 1), draft_tokens(n + 2, 4, 2))
    tokens = pack_tokens([*parts, length_token(n + 4)])
    tokens.role[0, 5] = -1
    fields = tuple(
        getattr(tokens, name)[0].int().contiguous() for name in ("role", "position", "block", "begin")
    )
    T = len(fields[0])
    history, qkv = torch.randn(2, G, slots, K), torch.randn(T, (H + 2 * G) * K)
    heads_THK = qkv.view(T, -1, K)
    turn = cos[tokens.position[0]][:, None], sin[tokens.position[0]][:, None]
    q_THK, k_TGK = rotate(heads_THK[:, :H], turn), rotate(heads_THK[:, H : H + G], turn)

    def run(width: int, length: int, kept: torch.Tensor, reach: int) -> torch.Tensor:
        space = RunSpace(device, 64, H, K, slots)
        out_THK = torch.empty(width, H, K)
        at = torch.tensor([length], dtype=torch.int32)
        rows = slice(length - n, length - n + width)
        now = tuple(field[rows].contiguous() for field in fields)
        attend(qkv[rows].contiguous(), (cos, sin), kept[0], kept[1], now, at, reach, space, out_THK)
        assert not space.arrived.any()
        return out_THK

    kept = history.clone()
    out_THK = run(T, n, kept, 3 * SPAN)
    assert torch.equal(kept[0, :, n : n + T], k_TGK.transpose(0, 1))
    assert torch.equal(kept[1, :, n : n + T], heads_THK[:, H + G :].transpose(0, 1))
    for side, before in zip(kept, history, strict=True):
        assert torch.equal(side[:, :n], before[:, :n])
        assert torch.equal(side[:, n + T :], before[:, n + T :])
    keys = clean_tokens(0, n).cat(tokens)
    mask = visible(tokens, keys)
    expected = F.scaled_dot_product_attention(
        q_THK.transpose(0, 1)[None],
        kept[0, :, : n + T].repeat_interleave(REP, 0)[None],
        kept[1, :, : n + T].repeat_interleave(REP, 0)[None],
        attn_mask=mask,
    )[0].transpose(0, 1)
    real = tokens.role[0] >= 0
    torch.testing.assert_close(out_THK[real], expected[real], rtol=1e-5, atol=1e-5)
    assert torch.equal(run(T, n, history.clone(), slots), out_THK)
    again = history.clone()
    for i in range(5):
        assert torch.equal(run(1, n + i, again, 3 * SPAN)[0], out_THK[i])
    assert torch.equal(again[:, :, : n + 5], kept[:, :, : n + 5])


def check_choice() -> None:
    """Best ids, the lowest of equals, and log-normalisers; alone or among others, the same bits."""
    for rows, vocab in ((1, 20_000), (5, 4096), (3, 100)):
        logits = (torch.randn(rows, vocab) * 3).bfloat16()
        logits[0, 7] = logits[0, vocab - 3] = logits.max() + 1
        report, ids = greedy(logits)
        assert torch.equal(ids, logits.float().argmax(-1))
        assert torch.equal(report[0].long(), ids)
        norm = logits.float().logsumexp(-1)
        torch.testing.assert_close(report[1], logits.float().amax(-1) - norm, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(report[2], norm, rtol=1e-5, atol=1e-5)
        for row in range(rows):
            assert torch.equal(greedy(logits[row : row + 1])[0][:, 0], report[:, row])
    logits[0, 50] = float("nan")
    assert greedy(logits)[0][2, 0].isnan()


def check_noise() -> None:
    """The very bits of plain torch: one seed or one a row, all ids or some of each row. Its noise, and scores
    with it.
    """
    generator = torch.Generator().manual_seed(2)
    positions = torch.tensor([0, 5, 40_000])
    for seed in (torch.tensor(3), torch.tensor([0, -1, 2**62])):
        for ids in (torch.arange(1500), torch.randint(0, 151_936, (3, 64), generator=generator)):
            assert torch.equal(uniform(seed, positions, ids), sampling.uniform(seed, positions, ids))
            torch.testing.assert_close(
                gumbel(seed, positions, ids), sampling.gumbel(seed, positions, ids), rtol=1e-5, atol=1e-6
            )
        logits, warm = torch.randn(3, 1500), torch.rand(3, 1)[: seed.numel()] + 0.5
        for temperature in (warm, None):
            plain = logits if temperature is None else logits / temperature
            theirs = plain + sampling.gumbel(seed, positions, torch.arange(1500))
            ours = noisy(logits, temperature, seed, positions)
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def check_mixed(folder: Path) -> None:
    """Passes of several roles against the plain runner, row by row: heads of ranks that fill no tile, blocks
    behind several points, behind a history longer than one run of attention, after a rejected pass.
    """
    base = Base.load(tiny_folder(folder / "mixed", layers=1, context=600, seed=3))
    raw = small_config().as_dict()
    for head, rank in zip(raw["heads"].values(), (64, 24, 16), strict=False):
        head["r"], head["target_modules"] = rank, ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"]
    heads = HeadSet.create(base, HeadsConfig.parse(raw, "test"), MASK_ID)
    randomise(base, heads)
    with torch.no_grad():
        for name in heads.config.heads:
            for parameter in heads.trained_parameters(base, name):
                parameter.mul_(0.3)
    slow, fast = Runner(base, heads), CudaRunner(base, heads)
    ids = torch.randint(0, 256, (170,), generator=torch.Generator().manual_seed(1)).tolist()
    for history, clean, blocks, length in (
        (0, 1, ((0, 7),), False),
        (150, 5, ((0, 4), (2, 4), (4, 4)), True),
    ):
        states = []
        for runner in (slow, fast):
            cache = runner.cache(300)
            runner.prefill(cache, ids[:history])
            line = ids[history : history + clean]
            parts = [runner.clean(line, history)]
            for number, (point, width) in enumerate(blocks, 1):
                shown, masked = [line[point]] + [0] * (width - 1), [False] + [True] * (width - 1)
                parts.append(runner.block(shown, masked, history + point, number))
            if length:
                parts.append(runner.length_query(ids[: history + 1]))
            runner.run(cache, [runner.clean([9, 9, 9], history)])  # rejected: nothing is kept
            states.append(runner.run(cache, parts))
        theirs, ours = states
        apart = (ours - theirs).norm(dim=-1) / theirs.norm(dim=-1)
        assert float(apart.max()) < 1e-4, (history, clean, blocks, length, apart)


def check_pass(folder: Path) -> None:
    """A pass of all roles against the plain runner."""
    slow, fast = make_runners(folder)
    ids = torch.randint(0, 256, (20,), generator=torch.Generator().manual_seed(0)).tolist()
    cache, device_cache = slow.cache(100), fast.cache(100)
    slow.prefill(cache, ids[:-1])
    fast.prefill(device_cache, ids[:-1])
    masked = [False, True, True, True]
    both = [
        runner.run(
            kv,
            [
                runner.clean([ids[-1], 5, 6], 19),
                runner.block([ids[-1], 0, 0, 0], masked, 19, 1),
                runner.block([6, 0, 0, 0], masked, 21, 2),
                runner.length_query(ids),
            ],
        )
        for runner, kv in ((slow, cache), (fast, device_cache))
    ]
    torch.testing.assert_close(*both, rtol=1e-4, atol=1e-4)


def check_rows(folder: Path) -> None:
    """Batched steps over the kernels for rows: the tokens of plain lanes."""
    slow, fast = make_runners(folder)
    generator = torch.Generator().manual_seed(1)
    jobs = []
    for index, length in enumerate((1, 3, 20, 7, 3)):
        ids = tuple(torch.randint(0, 256, (length,), generator=generator).tolist())
        warm = 0.8 * (index % 2)
        jobs.append(GenerateRequest(prompt_ids=ids, max_tokens=2 + index, temperature=warm, seed=index))
    jobs.append(jobs[2])
    tokenizer = Tokenizer(folder / "tiny")
    answers = []
    for lanes in (Lanes(slow, 3, 40), CudaLanes(fast, 3, 40)):
        opened = [
            Job(
                i,
                partial(Session, r, r.prompt_ids, tokenizer, model="", decode="ar", cancel=None),
                r.prompt_ids,
            )
            for i, r in enumerate(jobs)
        ]
        results = {i: step.result for i, step in Batch(lanes, opened, 3).run() if step.result}
        answers.append([results[i].token_ids for i in range(len(jobs))])
    assert answers[0] == answers[1], answers


torch.manual_seed(0)
check_linear()
check_norm_heads()
check_attention()
check_choice()
check_noise()
check_rows(Path(sys.argv[1]))
check_mixed(Path(sys.argv[1]))
check_pass(Path(sys.argv[1]))
print("all equal")

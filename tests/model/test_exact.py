"""Exactness: a token's states do not depend on what else is in the pass, in the batch, or on how the
cache grew.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.base import Base
from model.heads import HeadSet
from model.kvcache import KVCache, clean_tokens, pack_tokens
from model.packed import pack
from model.roles import Role, Tokens, visible
from model.runner import Runner
from model.tiny import tiny_folder
from tests.model.tiny_heads import MASK_ID, randomise, small_config, states

FAMILIES = ("qwen2", "qwen3", "qwen3_moe")
TYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("bases")
    return {family: tiny_folder(root / family, family, layers=2, context=4096) for family in FAMILIES}


def runner_of(folder, dtype, *, heads=True, packed=True, seed=0) -> Runner:
    base = Base.load(folder, dtype=dtype)
    config = small_config()
    if base.config.experts:
        raw = config.as_dict()
        for head in raw["heads"].values():
            head["target_modules"] = ["q_proj", "k_proj", "o_proj"]
        config = type(config).parse(raw, "test")
    mounted = HeadSet.create(base, config, MASK_ID) if heads else None
    if mounted is not None:
        randomise(base, mounted, seed)
    if packed:
        pack(base)
    return Runner(base, mounted)


def ids_of(count: int, seed: int = 0) -> list[int]:
    return torch.randint(0, 256, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.fixture(scope="module")
def runners(folders):
    return {(family, dtype): runner_of(folders[family], dtype) for family in FAMILIES for dtype in TYPES}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=6)
@given(length=st.integers(2, 600), cuts=st.lists(st.integers(1, 90), max_size=8), seed=st.integers(0, 9))
def test_a_cache_built_in_steps_equals_one_built_at_once(runners, family, dtype, length, cuts, seed):
    runner, ids = runners[family, dtype], ids_of(length, seed)
    once = runner.cache(length)
    whole = runner.run(once, [runner.clean(ids, 0)])
    steps, at, states_TD = runner.cache(length), 0, []
    for width in [*cuts, length]:
        part = ids[at : at + width]
        if part:
            states_TD.append(runner.run(steps, [runner.clean(part, at)]))
            steps.keep(len(part))
            at += len(part)
    assert torch.equal(torch.cat(states_TD), whole)
    assert torch.equal(steps.keys[..., :length, :], once.keys[..., :length, :])
    assert torch.equal(steps.values[..., :length, :], once.values[..., :length, :])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_cached_states_are_those_of_plain_attention(folders, family, dtype):
    runner = runner_of(folders[family], dtype, heads=False, packed=False)
    ids = ids_of(70)
    cached = runner.run(runner.cache(100), [runner.clean(ids, 0)])
    plain = states(runner.base, torch.tensor([ids]))[0]
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(cached, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_three_roles_in_one_pass_equal_three_passes(runners, family, dtype):
    runner, ids = runners[family, dtype], ids_of(60)
    cache = runner.cache(400)
    runner.prefill(cache, ids[:40])
    masked = [False] + [True] * 15
    parts = [
        runner.clean(ids[40:45], 40),
        runner.block([ids[44]] + [0] * 15, masked, 44, block=1),
        runner.block([ids[42]] + [0] * 15, masked, 42, block=2),
        runner.length_query(ids[:45]),
    ]
    together = runner.run(cache, parts).split([5, 16, 16, 1])
    alone = [runner.run(cache, parts[:1])]
    # The drafts and the length query see the five clean tokens, so those are kept first. A draft that hangs
    # earlier must not notice that more has been committed.
    cache.keep(5)
    alone += [runner.run(cache, [part]) for part in parts[1:]]
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", TYPES)
def test_rows_of_a_batch_equal_single_rows(runners, dtype):
    runner = runners["qwen2", dtype]
    lengths, width = (3, 130, 57), 4
    cache = runner.cache(300, rows=len(lengths))
    alone = []
    tokens: list[Tokens] = []
    x = []
    for row, length in enumerate(lengths):
        ids = ids_of(length + width, seed=row)
        single = runner.cache(300)
        runner.prefill(single, ids[:length])
        cache.keys[:, row], cache.values[:, row] = single.keys[:, 0], single.values[:, 0]
        cache.length[row] = length
        part = runner.clean(ids[length:], length)
        alone.append(runner.run(single, [part]))
        tokens.append(part.tokens)
        x.append(part.x)
    batch = Tokens(
        *(torch.cat([getattr(t, n) for t in tokens]) for n in ("role", "position", "block", "begin"))
    )
    with torch.inference_mode():
        route = runner._route([runner.clean([0] * width, 0)])
        together = runner.base(torch.cat(x), batch.position, cache.attention(batch), route)
    assert torch.equal(together, torch.stack(alone))


def test_fork_shares_the_prefix_and_then_parts(runners):
    runner, ids = runners["qwen2", torch.float32], ids_of(30)
    cache = runner.cache(100)
    runner.prefill(cache, ids[:20])
    twin = cache.fork(2)
    assert twin.length == [20, 20]
    assert torch.equal(twin.keys[:, 0], twin.keys[:, 1])
    runner.run(cache, [runner.clean(ids[20:], 20)])
    assert not torch.equal(twin.keys[:, 0], cache.keys[:, 0])


def test_a_draft_never_leaks_into_clean_states(folders):
    """Gradient test: no clean state depends on any draft embedding, on a draft block does on its own."""
    runner = runner_of(folders["qwen2"], torch.float32, packed=False)
    base, ids = runner.base, ids_of(24)
    parts = [runner.clean(ids[:12], 0), runner.block(ids[11:20], [False] + [True] * 8, 11, block=1)]
    x = torch.cat([part.x for part in parts], 1).clone().requires_grad_()
    tokens = pack_tokens([part.tokens for part in parts])
    cache = KVCache(base.config, 1, 100, torch.float32)

    class Masked:
        def layer(self, index):
            mask = visible(tokens, tokens)
            attend = torch.nn.functional.scaled_dot_product_attention
            return lambda q, k, v: attend(q, k, v, attn_mask=mask[:, None], enable_gqa=True)

    h = base(x, tokens.position, Masked(), runner._route(parts))
    (grad,) = torch.autograd.grad(h[:, :12].square().sum(), x, retain_graph=True)
    assert grad[:, :12].abs().amax(-1).min() > 0
    assert not grad[:, 12:].any()
    (grad,) = torch.autograd.grad(h[:, 12:].square().sum(), x)
    assert grad[:, 12:].abs().amax(-1).min() > 0
    assert grad[:, :11].abs().amax(-1).min() > 0
    assert not grad[:, 11].any()  # the clean copy at the block's first position is not before the block
    with torch.no_grad():
        cached = base(x, tokens.position, cache.attention(tokens), runner._route(parts))
    torch.testing.assert_close(cached, h)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [3, 509])
def test_a_sibling_has_the_states_that_it_would_have_in_the_line(runners, family, dtype, length):
    """Bit for bit, and so has the cache after it took the line's places."""
    runner, ids = runners[family, dtype], ids_of(length + 20)
    own = [(token + 1) % 256 for token in ids_of(5)]
    line, twin = ids[length : length + 9], [*ids[length : length + 4], *own]
    beside, alone = runner.cache(600), runner.cache(600)
    for cache in (beside, alone):
        runner.prefill(cache, ids[:length])
    block = runner.block([line[0], 0, 0], [False, True, True], length, 1)
    parts = [runner.clean(line, length), runner.sibling(own, length + 4, 1), block]
    states = runner.run(beside, parts)
    straight = runner.run(alone, [runner.clean(twin, length)])
    assert torch.equal(states[9:14], straight[4:])
    assert torch.equal(states[:4], straight[:4])
    beside.splice(9, 4, 5)
    for cache in (beside, alone):
        cache.keep(9)
    upto = slice(0, length + 9)
    assert torch.equal(beside.keys[..., upto, :], alone.keys[..., upto, :])
    assert torch.equal(beside.values[..., upto, :], alone.values[..., upto, :])
    again = [runner.run(cache, [runner.clean(ids[:1], length + 9)]) for cache in (beside, alone)]
    assert torch.equal(*again)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(Role)), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=12
    )
)
def test_visible_is_the_table_of_the_docs(tokens):
    """Against a plain reading of the rules, token by token."""
    role = torch.tensor([[t[0] for t in tokens]])
    position = torch.tensor([[t[1] for t in tokens]])
    # 1 stands for the line among CLEAN tokens, 2 and 3 for siblings.
    block = torch.tensor(
        [[t[2] if t[0] == Role.DRAFT else t[2] - 1 if t[0] == Role.CLEAN else 0 for t in tokens]]
    )
    begin = torch.tensor([[max(0, t[1] - t[2]) for t in tokens]])
    seen = visible(Tokens(role, position, block, begin), Tokens(role, position, block, begin))[0]
    for i, (q_role, q_pos, _) in enumerate(tokens):
        for j, (k_role, k_pos, _) in enumerate(tokens):
            if k_role == Role.CLEAN:
                wanted = k_pos < begin[0, i] if q_role == Role.DRAFT else k_pos <= q_pos
                in_sibling = q_role == Role.CLEAN and block[0, i] > 0
                if block[0, j] > 0:  # a sibling's key
                    wanted = wanted and in_sibling and block[0, i] == block[0, j]
                elif in_sibling:
                    wanted = wanted and k_pos < begin[0, i]
            elif k_role == Role.DRAFT:
                wanted = q_role == Role.DRAFT and block[0, i] == block[0, j]
            else:
                wanted = q_role == Role.LENGTH and q_pos == k_pos
            assert bool(seen[i, j]) == bool(wanted), (i, j)


def test_prefill_in_pieces_is_a_prefill(runners):
    runner, ids = runners["qwen3", torch.float32], ids_of(520)
    one, two = runner.cache(600), runner.cache(600)
    runner.prefill(one, ids)
    runner.prefill(two, ids[:300])
    runner.prefill(two, ids[300:])
    assert torch.equal(one.keys, two.keys)
    assert one.length == two.length == [520]


def test_clean_tokens_are_causal():
    tokens = clean_tokens(3, 4)
    assert torch.equal(visible(tokens, tokens)[0], torch.ones(4, 4).tril().bool())

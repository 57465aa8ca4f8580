"""Prompt lookup: the answer of ar token for token, whatever is copied; drafts are what followed before."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import lookup
from model.engine import Engine
from model.kvcache import KVCache
from model.ngrams import LONGEST, Draft, Ngrams
from model.plan import Curve
from model.request import GenerateRequest, complete
from model.runner import Part, Runner
from model.session import Session
from model.tiny import tiny_folder
from tests.model.chi_square import chi_square, limit
from tests.model.tiny_engines import make_engine, requests, same

FLAT = Curve((1, 64), (1.0, 1.1))


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """With heads (one of them for CLEAN tokens), and without any."""
    root = tmp_path_factory.mktemp("engines")
    bare = tiny_folder(root / "bare", "qwen2", 4, context=2048)
    return [
        make_engine(root, "qwen2"),
        make_engine(root, "qwen2", 1, "bf16"),
        make_engine(root, "qwen3_moe", 3),
        Engine(bare, name="tiny"),
    ]


def repeating(request: GenerateRequest) -> GenerateRequest:
    """A prompt with something to copy."""
    return dataclasses.replace(request, prompt_ids=request.prompt_ids * 3)


@settings(max_examples=40)
@given(request=requests, which=st.integers(0, 3), flat=st.booleans())
def test_lookup_is_ar_token_for_token(engines, request, which, flat):
    engine, request = engines[which], repeating(request)
    engine.decoders.planners.lookups = {False: FLAT, True: FLAT} if flat else {}
    plain = complete(engine, dataclasses.replace(request, decode="ar"))
    copied = complete(engine, dataclasses.replace(request, decode="lookup"))
    assert same(plain, copied)
    assert copied.decode == "lookup"
    assert copied.forwards <= copied.tokens


def test_a_text_that_repeats_needs_few_passes(engines):
    """Greedy decoding of a tiny model soon runs in a circle."""
    engine = engines[3]
    engine.decoders.planners.lookups = {False: FLAT}
    request = GenerateRequest(prompt="def f(", max_tokens=400, decode="lookup")
    copied = complete(engine, request)
    assert same(complete(engine, dataclasses.replace(request, decode="ar")), copied)
    assert copied.forwards < copied.tokens / 4


def test_the_passes_of_an_answer_do_not_depend_on_those_before(engines):
    for decode in ("lookup", "verified"):
        engine = engines[0]
        request = GenerateRequest(prompt="one two one two", max_tokens=60, temperature=0.3, decode=decode)
        first = complete(engine, request)
        complete(engine, dataclasses.replace(request, prompt="three three three", seed=5))
        engine.forget()
        assert complete(engine, request).commit_step == first.commit_step


def test_steps_add_up_and_show_what_is_verified_next(engines):
    request = GenerateRequest(prompt="x = 1, x = 1, x", max_tokens=60, decode="lookup", block=8)
    steps = list(engines[0].generate(request))
    result = steps[-1].result
    committed = [token for step in steps for token in step.committed]
    assert [token.id for token in committed] == list(result.token_ids)
    assert "".join(step.text for step in steps) == result.text
    assert result.forwards == len(steps)
    for before, after in itertools.pairwise(steps):
        accepted = len(after.committed) - 1
        assert accepted <= len(before.draft) <= 7
        assert [t.id for t in before.draft[:accepted]] == [t.id for t in after.committed[:accepted]]


def test_a_stop_string_inside_a_draft(engines):
    base = GenerateRequest(prompt="stop", max_tokens=60, temperature=1.0, seed=2)
    plain = complete(engines[0], base)
    for start in range(0, 24, 5):
        stop = plain.text[start : start + 4]
        request = dataclasses.replace(base, stop=(stop,), decode="lookup", block=16)
        result = complete(engines[0], request)
        assert result.text == plain.text[: plain.text.index(stop)]
        assert result.token_ids == plain.token_ids[: result.tokens]


def test_drafts_at_the_end_of_the_context(engines):
    request = GenerateRequest(prompt_ids=tuple(i % 5 for i in range(2040)), max_tokens=8, block=64)
    results = [complete(engines[0], dataclasses.replace(request, decode=d)) for d in ("ar", "lookup")]
    assert same(*results)


def test_many_requests_give_the_answers_of_each(engines):
    wanted = [
        GenerateRequest(prompt=f"ab ab {i}", max_tokens=20, decode=decode)
        for i, decode in enumerate(("lookup", "ar", "lookup"))
    ]
    results = {i: step.result for i, step in engines[3].generate_many(wanted) if step.result}
    assert all(same(results[i], complete(engines[3], request)) for i, request in enumerate(wanted))


class MarkovRunner(Runner):
    """A model whose next token depends on the last one only, so that its distribution is known."""

    def __init__(self, engine: Engine, vocab: int, seed: int) -> None:
        super().__init__(engine.weights.base)
        self.table = 1.5 * torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))
        self.widths: list[int] = []

    def run(self, cache: KVCache, parts) -> torch.Tensor:
        (part,) = parts
        self.widths.append(part.x.shape[0])
        return part.x

    def clean(self, ids, start) -> Part:
        return Part(torch.tensor(ids), None, None)

    def logits(self, h_TD: torch.Tensor) -> torch.Tensor:
        return self.table[h_TD]


def test_sampled_answers_have_the_distribution_of_the_model(engines):
    """50,000 tokens of a chain of five: each token's successors against its row of the table."""
    count, vocab = 50_000, 5
    runner = MarkovRunner(engines[3], vocab, 0)
    request = GenerateRequest(prompt_ids=(0,), max_tokens=count, temperature=1.0, seed=9)
    session = Session(request, [0], engines[3].tokenizer, model="markov", decode="lookup", cancel=None)
    cache = engines[3].weights.runner.cache(4)
    for _ in lookup.decode(runner, cache, session, lookup.Pace(FLAT)):
        pass
    ids = torch.tensor([0, *session.ids])
    assert len(session.ids) == count
    assert len(runner.widths) < 0.8 * count  # copies were accepted
    pairs = torch.bincount(ids[:-1] * vocab + ids[1:], minlength=vocab * vocab).view(vocab, vocab)
    for row, logits in zip(pairs, runner.table, strict=True):
        assert chi_square(row, logits.softmax(-1)) < limit(vocab)


def brute(ids: list[int], most: int) -> Draft:
    """The longest match, then the newest, by looking everywhere; copying goes on into the copy itself."""
    for n in range(min(LONGEST, len(ids)), 0, -1):
        for source in range(len(ids) - 1, n - 1, -1):
            if ids[source - n : source] == ids[-n:]:
                out = list(ids)
                for i in range(most):
                    out.append(out[source + i])
                return Draft(tuple(out[len(ids) :]), n)
    return Draft((), 0)


@given(ids=st.lists(st.integers(0, 3), max_size=60), cut=st.integers(0, 60), most=st.integers(0, 20))
def test_a_draft_is_what_followed_the_longest_and_newest_match(ids, cut, most):
    text = Ngrams(ids[:cut])
    text.extend(ids[cut:])
    assert len(text) == len(ids)
    assert text.draft(most) == brute(ids, most)


def test_wrong_drafts_end_in_plain_passes_and_right_ones_in_wide_ones():
    steep = Curve((1, 65), (1.0, 9.0))
    draft = Draft(tuple(range(63)), 1)
    wrong, right = lookup.Pace(steep), lookup.Pace(steep)
    for _ in range(40):
        wrong.observe(draft, [63])
        right.observe(draft, list(range(63)))
    assert wrong.length(draft) == 0
    assert right.length(draft) >= 7
    assert lookup.Pace(FLAT).length(draft) > lookup.Pace(steep).length(draft)


def test_a_plain_pass_says_whether_a_draft_would_have_been_right():
    pace, draft = lookup.Pace(Curve((1, 65), (1.0, 30.0))), Draft((7, 8), 1)
    before = pace.length(draft)
    for _ in range(60):
        pace.observe(draft, [7])
    assert before == 0
    assert pace.length(draft) > 0

"""Decoders side by side: in turn, resumable, judged afterwards; transformers behind the common interface."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.rundir import SAMPLES, RunFolder
from model.errors import ContextOverflowError, RequestError
from model.load import load
from model.request import GenerateRequest, Message, complete

BENCH = (
    "bench",
    "--benchmark",
    "edit",
    "--model",
    "tiny",
    "--device",
    "cpu",
    "--max-tokens",
    24,
    "--limit",
    3,
)


def test_a_row_a_decoder_and_temperature(evals: Any, tmp_path: Path) -> None:
    done = evals(*BENCH, "--decoders", "ar,lookup,transformers", "--out", tmp_path / "b", "--json")
    assert done.code == 0
    rows = {row["name"]: row for row in map(json.loads, done.out.splitlines())}
    assert list(rows) == [f"{d} T={t}" for d in ("ar", "lookup", "transformers") for t in ("0", "0.7")]
    for temperature in ("0", "0.7"):
        plain, copied = rows[f"ar T={temperature}"], rows[f"lookup T={temperature}"]
        assert (plain["ratio"], plain["tpf"], plain["same_as_ar"]) == (1.0, 1.0, 3)
        assert copied["tpf"] >= 1.0
        assert copied["same_as_ar"] == copied["tasks"] == 3
        assert copied["value"] > 0
        assert copied["beside"] == plain["value"]
    assert all(row["pass_at_1"] == 0.0 for row in rows.values())
    assert json.loads((tmp_path / "b" / "bench.json").read_text()) == list(rows.values())
    runs = [RunFolder(tmp_path / "b" / "T0" / name) for name in ("ar", "lookup")]
    assert [run.config["settings"]["decode"] for run in runs] == ["ar", "lookup"]


def test_a_killed_bench_keeps_what_it_measured(evals: Any, tmp_path: Path) -> None:
    args = (*BENCH, "--decoders", "ar,lookup", "--temperature", 0, "--out", tmp_path / "b", "--json")
    assert evals(*args, "--no-score").code == 0
    file = tmp_path / "b" / "T0" / "lookup" / SAMPLES
    whole = file.read_bytes()
    kept = (tmp_path / "b" / "T0" / "ar" / "timing.jsonl").read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert evals(*args).code == 2
    done = evals(*args, "--resume")
    assert done.code == 0
    assert file.read_bytes() == whole
    assert (tmp_path / "b" / "T0" / "ar" / "timing.jsonl").read_bytes() == kept
    assert [json.loads(line)["pass_at_1"] for line in done.out.splitlines()] == [0.0, 0.0]


def test_all_leaves_out_what_cannot_run_and_names_are_errors(evals: Any, tmp_path: Path) -> None:
    args = (*BENCH, "--temperature", 0, "--no-score")
    done = evals(*args, "--decoders", "all", "--out", tmp_path / "b", "--json")
    assert done.code == 0
    names = [json.loads(line)["name"] for line in done.out.splitlines()]
    assert names[:2] == ["ar T=0", "lookup T=0"]
    assert "diffusion is left out: no trained heads for tiny" in done.err
    assert "verified is left out" in done.err
    assert evals(*args, "--decoders", "verified", "--out", tmp_path / "c").code == 4
    wrong = evals(*args, "--decoders", "ar,fast", "--out", tmp_path / "d")
    assert wrong.code == 2
    assert "no decoder 'fast'" in wrong.err


@pytest.fixture(scope="module")
def peer() -> Any:
    return load("transformers:tiny", device="cpu")


def test_transformers_gives_the_greedy_answer_of_ours(peer: Any) -> None:
    ours = load("tiny", device="cpu")
    request = GenerateRequest(messages=(Message("user", "count to ten"),), max_tokens=30)
    one, other = complete(ours, request), complete(peer, request)
    assert (one.token_ids, one.text, one.finish_reason) == (other.token_ids, other.text, other.finish_reason)
    assert other.forwards == other.tokens == 30
    assert 0 < other.prefill_s < other.wall_s
    cut = GenerateRequest(messages=request.messages, max_tokens=30, stop=(one.text[5:9],))
    stopped = complete(peer, cut)
    assert stopped.text == complete(ours, cut).text
    assert (stopped.finish_reason, stopped.forwards < 30) == ("stop", True)


def test_transformers_samples_by_seed_and_refuses_what_it_cannot(peer: Any) -> None:
    def ids(seed: int) -> tuple[int, ...]:
        return complete(peer, GenerateRequest(prompt="x", max_tokens=9, temperature=1.0, seed=seed)).token_ids

    assert ids(1) == ids(1) != ids(2)
    with pytest.raises(RequestError, match="`ar` only"):
        peer.generate(GenerateRequest(prompt="x", decode="lookup"))
    with pytest.raises(ContextOverflowError, match="exceed the context"):
        peer.generate(GenerateRequest(prompt="x", max_tokens=10**7))

"""`model selfcheck`: all rows pass on tiny models, and a broken promise is a FAIL of its rows alone."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner

from model.bench_rows.decode import PROMPTS
from model.cli import cli
from model.engine import Engine
from model.selfcheck import CHECKS, Subject, run
from tests.model.tiny_engines import make_engine

NAMES = [name for name, _ in CHECKS]


@pytest.fixture
def engine(tmp_path):
    return make_engine(tmp_path)


def check(engine, heads, *names):
    only = names or tuple(NAMES)
    found = list(run(Subject(engine, heads, PROMPTS[:2], tokens=12), only))
    assert {check.name for check in found} == set(only)
    return {check.name: check for check in found}


def failed(found):
    return {name for name, check in found.items() if check.passed is not True}


def other(token: int) -> int:
    return (token + 1) % 256


def changed(step, at=3):
    """The step with another token at position `at` of its result."""
    if step.result is None:
        return step
    ids = list(step.result.token_ids)
    ids[at] = other(ids[at])
    return dataclasses.replace(step, result=dataclasses.replace(step.result, token_ids=tuple(ids)))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_check_passes_with_heads(tmp_path, precision):
    engine = make_engine(tmp_path, precision=precision)
    found = check(engine, tmp_path / "heads-qwen20")
    assert failed(found) == set(), found
    assert "+ar_head" in found["rows at every width"].detail


def test_a_decoder_that_returns_another_token(engine, monkeypatch):
    generate = engine.generate

    def broken(request, cancel=None):
        steps = generate(request, cancel)
        lie = request.decode == "verified" and request.max_tokens > 3
        return map(changed, steps) if lie else steps

    monkeypatch.setattr(engine, "generate", broken)
    found = check(engine, None, "verified = ar", "lookup = ar", "sampled verified = ar")
    assert failed(found) == {"verified = ar", "sampled verified = ar"}
    assert "0 of 2 answers equal" in found["verified = ar"].detail
    assert "prompt 0 at token 3" in found["verified = ar"].detail


def test_a_batch_that_is_not_its_members(engine, monkeypatch):
    many = engine.generate_many
    monkeypatch.setattr(
        engine, "generate_many", lambda requests: ((i, changed(s)) for i, s in many(requests))
    )
    found = check(engine, None, "lookup = ar", "batch = single, greedy", "batch = single, sampled")
    assert failed(found) == {"batch = single, greedy", "batch = single, sampled"}


def test_rows_that_depend_on_the_width(engine, monkeypatch):
    projection = engine.weights.base.layers[0].o
    plain = projection.forward
    monkeypatch.setattr(projection, "forward", lambda x, route: plain(x, route) + 1e-3 * x.shape[1])
    found = check(engine, None, "rows at every width", "cache in pieces")
    assert found["rows at every width"].passed is False
    assert "o at 1, o at 2" in found["rows at every width"].detail
    assert found["cache in pieces"].passed is False


def test_wrong_states_part_from_the_reference_alone(tmp_path, engine):
    """All decoders share the wrong weights, so they still agree."""
    with torch.no_grad():
        engine.weights.base.norm.weight.mul_(1.2)
    found = check(
        engine, tmp_path / "heads-qwen20", "mixed passes", "verified = ar", "batch = single, greedy"
    )
    assert failed(found) == {"mixed passes"}


def test_a_check_that_raises_has_failed_and_the_others_run(engine, monkeypatch):
    def broken(requests):
        raise RuntimeError("an illegal\nmemory access")

    monkeypatch.setattr(engine, "generate_many", broken)
    found = check(engine, None, "verified = ar", "batch = single, greedy", "lookup = ar")
    assert failed(found) == {"batch = single, greedy"}
    assert found["batch = single, greedy"].detail == "RuntimeError: an illegal memory access"


def test_what_mixed_precision_gives_up_is_skipped(tmp_path):
    found = check(Engine(make_engine(tmp_path).folder, name="tiny", precision="mixed"), None)
    assert {name for name, check in found.items() if check.passed is None} == {
        "verified = ar",
        "sampled verified = ar",
        "cache in pieces",
    }


ARGUMENTS = ["selfcheck", "--model", "tiny", "--device", "cpu", "--prompts", "1", "--tokens", "4"]


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ARGUMENTS)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("PASS  ") == len(CHECKS)

    def broken(self, requests):
        raise RuntimeError("no")

    monkeypatch.setattr(Engine, "generate_many", broken)
    done = CliRunner().invoke(cli, [*ARGUMENTS, "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["failed"] == 2
    assert [row["passed"] for row in found["rows"]].count(False) == 2
    assert "FAIL  batch = single, greedy" in done.stderr


def test_a_model_that_is_decoded_elsewhere_is_refused(tmp_path):
    (tmp_path / "r.json").write_text('["x"]')
    done = CliRunner().invoke(cli, ["selfcheck", "--model", f"scripted:{tmp_path / 'r.json'}"])
    assert done.exit_code == 2
    assert "selfcheck needs" in done.stderr

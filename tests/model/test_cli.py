"""The `model` command: light to import, exact codes, text that cannot harm a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from model.cli import COMMANDS, cli
from model.errors import RequestError
from model.request import GenerateRequest
from model.safetext import printable

HEAVY = ("torch", "transformers", "textual", "vllm", "pydantic", "rich", "numpy", "httpx", "tokenizers")


def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "replies.json"
    path.write_text(json.dumps(["def add(a, b):\n    return a + b\n", "\x1b[31mred\x07\u202e"]))
    return f"scripted:{path}"


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from model.cli import main
try:
    main(["--help"])
except SystemExit as done:
    assert done.code == 0
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output


def test_generate_json(script: str) -> None:
    done = run("generate", "--model", script, "--prompt", "p", "--json", "--max-tokens", "5")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    keys = {
        "text",
        "token_ids",
        "tokens",
        "forwards",
        "tokens_per_forward",
        "wall_s",
        "finish_reason",
        "model",
        "decode",
    }
    assert keys <= result.keys()
    assert (result["text"], result["tokens"], result["finish_reason"]) == ("def add(a", 5, "length")


def test_generate_reads_standard_input_and_files(script: str, tmp_path: Path) -> None:
    assert run("generate", "--model", script, stdin="p").stdout.startswith(
        "def add(a, b):\n    return a + b\n"
    )
    (tmp_path / "p.txt").write_text("p")
    assert run("generate", "--model", script, "--file", str(tmp_path / "p.txt"), "--chat").returncode == 0


def test_control_sequences_are_shown_not_obeyed(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(["\x1b[31mred\x07\u202e"]))
    done = run("generate", "--model", f"scripted:{tmp_path / 'r.json'}", "--prompt", "p")
    assert done.stdout == "\\x1b[31mred\\x07\\u202e\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["generate", "--prompt", "p", "--file", "f"], 2, "not both"),
        (["generate", "--file", "/nonexistent"], 2, "cannot read"),
        (["generate", "--prompt", "p", "--temperature", "-1"], 2, "temperature"),
        (["generate", "--prompt", "p", "--system", "s"], 2, "--chat"),
        (["generate", "--prompt", "p", "--decode", "diffusion", "--threshold", "0"], 2, "threshold"),
        (["generate", "--prompt", "p", "--decode", "diffusion", "--commit", "judged"], 2, "lenient"),
        (["generate", "--prompt", "p", "--commit", "prefix"], 2, "--decode diffusion"),
        (["generate", "--prompt", "", "--model", "tiny"], 2, "empty"),
        (["generate", "--prompt", "p", "--model", "qwen2.5-coder-05b"], 4, "did you mean"),
        (["generate", "--prompt", "p", "--model", "scripted:/nonexistent"], 4, "cannot read the script"),
        (["quantize", "tiny"], 2, "--fp8"),
        (["quantize", "tiny", "--fp8"], 2, "--out"),
        (["bench", "--only", "nonesuch"], 2, "no group"),
        (["info", "nonesuch"], 4, "known names"),
        (["nonesuch"], 2, "No such command"),
    ],
)
def test_bad_input(
    arguments: list[str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_not_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    done = run("generate", "--prompt", "p")
    assert done.returncode == 4
    assert (
        done.stderr
        == "error: qwen2.5-coder-0.5b is not on this machine; run: model pull qwen2.5-coder-0.5b\n"
    )


def test_interrupt_keeps_the_text_and_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(["one two three"]))
    code = f"""
from model import scripted
from model.cli import main
plain = scripted.ScriptedModel._steps
def slow(self, request, prompt, reply, cancel):
    for step in plain(self, request, prompt, reply, cancel):
        yield step
        if step.text:
            cancel.wait(60)
scripted.ScriptedModel._steps = slow
main(["generate", "--model", "scripted:{tmp_path / "r.json"}", "--prompt", "p"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stdout.read(3) == "one"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not stdout.strip()
    assert "finished by cancelled" in stderr
    assert "Traceback" not in stderr


@given(text=st.text())
def test_printable_text_has_no_control_characters(text: str) -> None:
    shown = printable(text)
    assert all(char in "\n\t" or (char.isprintable() or char.isspace() or ord(char) > 0x9F) for char in shown)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    if text.isascii() and text.isprintable():
        assert shown == text


def test_info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path))
    listed = json.loads(run("info", "--json").stdout)
    assert {"qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "qwen3-coder-30b-a3b-fp8", "tiny"} <= {
        row["name"] for row in listed
    }
    large = json.loads(run("info", "qwen3-coder-30b-a3b-fp8", "--context", "262144", "--json").stdout)
    fits = {gpu["gb"]: gpu["fits"] for gpu in large["gpus"]}
    assert fits == {24: False, 32: False, 40: False, 48: False, 80: True, 96: True, 128: True}
    shown = run("info", "tiny")
    assert shown.returncode == 0
    assert "parameters" in shown.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("inof",), 2, "Did you mean 'info'?"),
        (("generate", "--prompt", "x", "--temperature", "nan"), 2, "nan is not a finite number"),
        (("generate", "--prompt", "x", "--block", "1"), 2, "1 is not in the range x>=2"),
        (("generate", "--prompt", "x", "--model", ""), 4, "names no model: write a name"),
        (("generate", "--prompt", "x", "--model", "scripted:none"), 4, "No such file or directory"),
        (("pull", "tiny"), 4, "tiny is not fetched"),
        (("pull", ""), 4, "no model is named ''"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], code: int, message: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.parametrize("setting", ["temperature=nan", "temperature=inf", "seed=1e30"])
def test_a_request_that_no_decoder_can_draw_for_is_refused(setting: str) -> None:
    name, _, value = setting.partition("=")
    number = int(float(value)) if name == "seed" else float(value)
    with pytest.raises(RequestError, match=name):
        GenerateRequest(prompt="x", **{name: number}).check()  # type: ignore[arg-type]


def test_rows_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"\xff\xfe")
    done = run("data", "encode", str(tmp_path / "rows"), "-o", str(tmp_path / "x.npz"), "--base", "tiny")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1

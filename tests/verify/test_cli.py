"""`verify run`: exit codes, one clear line for bad input, and nothing hostile on the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from verify.terminal import line, plain


def verify(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "verify.cli", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text("def f(x):\n    return x + 1\n")
    (tmp_path / "bad.py").write_text("def f(x):\n    return x\n")
    (tmp_path / "hang.py").write_text("def f(x):\n    while True: pass\n")
    (tmp_path / "flood.py").write_text("def f(x):\n    while True: print('x' * 1000)\n")
    (tmp_path / "evil.py").write_text(
        "print('\\x1b[2J\\x1b]0;owned\\x07 [bold]PASSED[/]')\ndef f(x):\n    return x\n"
    )
    (tmp_path / "cases.json").write_text('[{"args": [1], "expected": 2}]')
    return tmp_path


def run(files: Path, name: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return verify(
        "run", str(files / name), "--entry", "f", "--cases", str(files / "cases.json"), *words, **environment
    )


def test_only_passed_is_zero(files: Path) -> None:
    good = run(files, "good.py", "--json")
    assert (good.returncode, json.loads(good.stdout)["status"]) == (0, "passed")
    bad = run(files, "bad.py", "--json")
    fields = json.loads(bad.stdout)
    assert (bad.returncode, fields["status"], fields["detail"]) == (1, "failed", "case 0: got 1")


@pytest.mark.parametrize(
    ("name", "status", "wall_s"), [("hang.py", "timeout", 0.5), ("flood.py", "output_limit", 30)]
)
def test_a_test_that_hangs_or_floods(files: Path, name: str, status: str, wall_s: float) -> None:
    done = run(files, name, "--limits", f"wall_s={wall_s}", "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (1, status)


def test_no_bubblewrap(files: Path) -> None:
    done = run(files, "good.py", "--backend", "bubblewrap", "--json", TRIHEAD_BWRAP="/nonexistent/bwrap")
    fields = json.loads(done.stdout)
    assert (done.returncode, fields["status"]) == (5, "unavailable")
    assert "TRIHEAD_BWRAP" in fields["detail"]


def test_user_namespaces_off(files: Path) -> None:
    stub = files / "bwrap"
    stub.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit 0\n'
        'echo "bwrap: No permissions to create new namespace" >&2; exit 1\n'
    )
    stub.chmod(0o755)
    done = run(files, "good.py", "--backend", "bubblewrap", "--json", TRIHEAD_BWRAP=str(stub))
    fields = json.loads(done.stdout)
    assert (done.returncode, fields["status"]) == (5, "unavailable")
    assert "sysctl" in fields["detail"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("good.py",), "no tests"),
        (("good.py", "--entry", "f", "--cases", "nowhere.json"), "nowhere.json"),
        (("good.py", "--entry", "f", "--cases", "good.py"), "not JSON"),
        (("cases.json", "--entry", "f", "--cases", "cases.json"), "suffix"),
        (("good.py", "--entry", "f", "--cases", "cases.json", "--limits", "wal_s=1"), "unknown limit"),
        (("good.py", "--entry", "f", "--cases", "cases.json", "--limits", "wall_s=-1"), "above 0"),
        (("good.py", "--entry", "f", "--cases", "cases.json", "--backend", "vm"), "unknown backend"),
        (("good.py", "--entry", "f", "--cases", "cases.json", "--backend", "subprocess"), "--unsafe"),
        ((".",), "--test-cmd"),
    ],
)
def test_bad_usage_is_one_line_and_two(files: Path, words: tuple[str, ...], message: str) -> None:
    paths = [
        str(files / word) if word == "." or ("." in word and not word.startswith("-")) else word
        for word in words
    ]
    paths = [word if "=" not in word else Path(word).name for word in paths]
    done = verify("run", *paths)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_output_does_not_reach_the_terminal(files: Path) -> None:
    done = run(files, "evil.py")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout
    assert "[bold]" in done.stdout


def test_plain_text_has_no_control_characters() -> None:
    text = "a\x1b[31m\u202eb\x00\x9bc\ud800\tn\n"
    assert plain(text) == "a\\x1b[31m\\u202eb\\x00\\x9bc\\ud800\tn\n"
    assert "\n" not in line(text)
    assert len(plain("x" * 100_000)) < 5_000


def test_help_is_light() -> None:
    heavy = "{'torch', 'transformers', 'textual', 'vllm', 'pydantic', 'rich', 'docker', 'numpy'}"
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom verify.cli import cli\n"
        f"assert CliRunner().invoke(cli, ['--help']).exit_code == 0\nprint({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("abuse", "--backend", "vm"), 2, "unknown backend"),
        (("abuse", "--backend", "subprocess"), 2, "--unsafe"),
        (("bench", "--backend", "vm"), 2, "'vm' is not one of"),
        (("bench", "--property", "--gpu", "--cases-log2", "4"), 5, "run-cu: unavailable"),
    ],
)
def test_other_commands_name_what_is_wrong(
    tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    env = os.environ | {"TRIHEAD_HOME": str(tmp_path), "PATH": "/nowhere"}  # neither Bend nor a GPU
    done = subprocess.run(
        [sys.executable, "-m", "verify.cli", *words], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_bend_benchmark_runs_on_the_standard_library_alone(tmp_path: Path) -> None:
    # a GPU machine is often bare: neither our packages nor a network
    env = os.environ | {"TRIHEAD_HOME": str(tmp_path), "PATH": "/nowhere"}  # neither Bend nor a GPU
    line = [sys.executable, "-S", "-m", "verify.bend.bench", "--gpu", "4"]
    root = Path(__file__).parents[2]
    done = subprocess.run(line, capture_output=True, text=True, env=env, cwd=root, check=False)
    assert done.returncode == 5
    assert done.stderr.startswith("bench: run-cu: unavailable: ")
    assert len(done.stderr.splitlines()) == 1


def test_rows_of_both_benchmarks_fit_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    from verify.bench import Row
    from verify.bend.bench import _row
    from verify.commands.bench import _print

    _print([_row("ours", [1.0, 2.0], "theirs", [9.0]), Row("warm", 1.0, "ms").to_dict()], as_json=False)
    printed = capsys.readouterr().out
    assert "theirs" in printed
    assert "warm" in printed


@pytest.mark.parametrize("width", [80, 120])
def test_a_benchmark_row_keeps_its_name_peer_and_note_whole(width: int) -> None:
    from io import StringIO

    from rich.console import Console

    from verify.bench import PEER_EVALPLUS, Row
    from verify.commands.bench import bench_table

    name, peer = "canonical passed, own test source, run 1", f"{PEER_EVALPLUS}, HumanEval/0"
    row = Row(name, 1_234.0, "1/s", 164.0, 7.52, 0.0456, peer, "2 workers on 2 cores")
    console = Console(file=StringIO(), width=width)
    console.print(bench_table([row.to_dict()]))
    printed = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    _, first, second, third = printed.splitlines()
    assert first.split("  ")[0] == name
    assert "1,234 1/s" in first
    assert second.strip() == f"beside {peer}"
    assert third.strip() == "2 workers on 2 cores"
    assert max(map(len, printed.splitlines())) <= width


@pytest.mark.parametrize("name", ["commandline.py", "distribution.py"])
def test_what_the_command_lines_share_is_the_same_in_model(name: str) -> None:
    ours = Path(__file__).parents[2]
    assert (ours / "model" / name).read_text() == (ours / "verify" / name).read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rnu",), "No such command 'rnu'. Did you mean 'run'? See 'verify --help'."),
        (("run",), "Missing argument 'PATH'. See 'verify run --help'."),
        (("bench", "--repeats", "0"), "0 is not in the range x>=1"),
        (("bench", "--workers", "-3"), "-3 is not in the range"),
        (("abuse", "--only", "no such case"), "has 'no such case' in its name"),
    ],
)
def test_a_mistyped_command_is_one_line(words: tuple[str, ...], message: str) -> None:
    done = verify(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    "limit", ["wall_s=1e12", "wall_s=nan", "cpu_s=inf", "mem_mb=100000000000000", "processes=1000000000000"]
)
def test_a_limit_that_the_system_cannot_count_is_refused(files: Path, limit: str) -> None:
    done = run(files, "good.py", "--limits", limit)
    assert done.returncode == 2
    assert f"the limit {limit.partition('=')[0]} is " in done.stderr


def test_function_cases_without_an_entry_say_what_to_add(files: Path) -> None:
    done = verify("run", str(files / "good.py"), "--cases", str(files / "cases.json"))
    assert done.returncode == 2
    assert "to call a function with these cases, name it with --entry" in done.stderr


def test_a_test_command_that_is_not_there(files: Path) -> None:
    done = verify("run", str(files), "--test-cmd", "no-such-command")
    assert done.returncode == 2
    assert "no-such-command cannot be run in the sandbox: No such file or directory" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_reader_that_leaves_never_makes_it_a_pass(files: Path) -> None:
    line = f"{sys.executable} -m verify.cli doctor --backend subprocess --json"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; ( {line}; echo rc=$? >&2 ) | true"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr == "rc=130\n"


def name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:  # it has ended
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(files: Path, number: signal.Signals) -> None:
    words = ["run", str(files / "hang.py"), "--entry", "f", "--cases", str(files / "cases.json")]
    limits = ["--limits", "wall_s=60", "--limits", "cpu_s=60"]
    scratch = files / "scratch"
    scratch.mkdir()
    # A test run in the background ignores some signals, and its children would too.
    process = subprocess.Popen(
        ["env", "--default-signal=INT,TERM,HUP", sys.executable, "-m", "verify.cli", *words, *limits],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    family: list[psutil.Process] = []
    while "bwrap" not in [name_of(child) for child in family]:
        assert process.poll() is None
        family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "interrupted")
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert list(scratch.iterdir()) == []

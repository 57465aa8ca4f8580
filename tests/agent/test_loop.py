"""The loop with a scripted model and the real sandbox."""

from __future__ import annotations

from pathlib import Path

from agent.loop import MAX_FORMAT_ERRORS
from model.request import Model, ModelInfo
from model.scripted import ScriptedModel
from tests.agent.double import BAD, GOOD, WORSE, go, kinds, task
from verify.checker import Checker, open_checker
from verify.verdict import Status


def test_plan_scaffold_infill_verify_repair_and_fresh(workdir: Path, checker: Checker) -> None:
    replies = ["Double it.", "x: int) -> int:\n    more", 'Twice x."""\n    return 0\n', BAD, GOOD]
    events, done = go(task(workdir, scaffold=None), checker, *replies, plan=True)
    assert kinds(events) == [
        "started", "planned", "scaffolded", "edited", "verified", "repairing", "edited", "verified",
        "verified", "done",
    ]  # fmt: skip
    assert (done.status, done.exit_code, done.steps, done.repairs) == ("solved", 0, 5, 1)
    assert done.files_changed == ("solution.py",)
    assert done.verdict is not None
    assert done.verdict.ok
    assert (workdir / "solution.py").read_text() == 'def double(x: int) -> int:\n    """Twice x."""\n' + GOOD
    assert [e.to_dict()["fresh"] for e in events if e.type == "verified"] == [False, False, True]
    evidence = next(e.to_dict()["evidence"] for e in events if e.type == "repairing")
    assert "double(2) should return 4" in evidence
    assert "3" in evidence


def test_the_last_check_is_in_a_newly_opened_checker(workdir: Path, checker: Checker) -> None:
    opened: list[Checker] = []

    def open_another() -> Checker:
        opened.append(open_checker())
        return opened[-1]

    go(task(workdir), checker, GOOD, open_checker=open_another)
    assert len(opened) == 1
    assert opened[0] is not checker


def test_the_model_never_puts_expected_values_into_the_candidate(workdir: Path, checker: Checker) -> None:
    cheat = "    import sys\n    return 4 if 'expected' in str(sys._getframe(1).f_locals) else 0\n"
    _, done = go(task(workdir), checker, cheat, max_repairs=0)
    assert done.status == "failed"


def test_a_failed_task_puts_the_files_back_unless_kept(workdir: Path, checker: Checker) -> None:
    (workdir / "solution.py").write_text("# mine, uncommitted\n")
    events, done = go(task(workdir), checker, BAD, WORSE, max_repairs=1)
    assert (done.status, done.exit_code, done.files_changed) == ("failed", 1, ())
    assert kinds(events)[-2:] == ["restored", "done"]
    assert (workdir / "solution.py").read_text() == "# mine, uncommitted\n"
    _, done = go(task(workdir), checker, BAD, max_repairs=0, keep=True)
    assert done.files_changed == ("solution.py",)
    assert "return x + 1" in (workdir / "solution.py").read_text()


def test_a_model_that_never_emits_code(workdir: Path, checker: Checker) -> None:
    for work, reply in ((task(workdir), "\n"), (task(workdir, entry=None), "I am sorry.")):
        events, done = go(work, checker, *[reply] * 5)
        assert (done.status, done.exit_code) == ("error", 4)
        assert kinds(events).count("format_failed") == MAX_FORMAT_ERRORS
        assert "no usable code 3 times in a row" in done.error
        assert not (workdir / "solution.py").exists()


def test_a_format_error_goes_back_with_the_text_and_is_then_forgiven(workdir: Path, checker: Checker) -> None:
    test = "from solution import double\n\ndef test_double():\n    assert double(2) == 4\n"
    (workdir / "test_it.py").write_text(test)
    command = ("python", "-m", "pytest", "-q", "test_it.py")
    work = task(workdir, entry=None, cases=(), scaffold=None, tests=("test_it.py",), test_cmd=command)
    events, done = go(work, checker, "No idea.", f"```python\ndef double(x):\n{GOOD}```")
    assert (done.status, done.repairs) == ("solved", 0)
    second = [e.to_dict() for e in events if e.type == "model_called"][1]
    assert "No idea." in second["messages"][1]["content"]
    assert "No code block" in second["messages"][2]["content"]


def test_the_same_answer_again_is_asked_for_anew_and_warmer(workdir: Path, checker: Checker) -> None:
    events, done = go(task(workdir), checker, BAD, BAD, BAD, GOOD)
    assert (done.status, done.repairs, done.steps) == ("solved", 1, 4)
    calls = [e.to_dict() for e in events if e.type == "model_called"]
    assert [c["temperature"] for c in calls] == [0.0, 0.0, 0.4, 0.8]
    assert len({c["seed"] for c in calls}) == 4


def test_without_tests_nothing_is_ever_called_correct(workdir: Path, checker: Checker) -> None:
    work = task(workdir, cases=(), entry=None, scaffold=None)
    _, done = go(work, checker, f"```python\ndef double(x):\n{GOOD}```")
    assert (done.status, done.exit_code) == ("failed", 1)
    assert "nothing was verified" in done.error
    assert done.verdict is not None
    assert done.verdict.status is Status.UNSUPPORTED


def test_a_test_that_hangs(workdir: Path, checker: Checker) -> None:
    events, done = go(
        task(workdir, check_limits={"wall_s": 30.0, "cpu_s": 1.0}), checker, "    while True: pass\n", GOOD
    )
    assert (done.status, done.repairs) == ("solved", 1)
    evidence = next(e.to_dict()["evidence"] for e in events if e.type == "repairing")
    assert "endless loop" in evidence


def test_a_test_that_floods_stdout(workdir: Path, checker: Checker) -> None:
    (workdir / "test_it.py").write_text(
        "def test_it():\n    for _ in range(10**6): print('\\x1b[31mx' * 100)\n"
    )
    command = ("python", "-m", "pytest", "-q", "-s", "test_it.py")
    work = task(workdir, cases=(), test_cmd=command, tests=("test_it.py",))
    _, done = go(work, checker, BAD, max_repairs=0)
    assert done.verdict is not None
    assert done.verdict.status in (Status.OUTPUT_LIMIT, Status.TIMEOUT)
    assert len(done.verdict.stdout) <= 2 * 65_536
    assert done.exit_code == 1


def test_tests_of_a_repository_are_run_and_cannot_be_edited(workdir: Path, checker: Checker) -> None:
    test = "from calc import double\n\n\ndef test_double():\n    assert double(4) == 8\n"
    (workdir / "test_calc.py").write_text(test)
    (workdir / "calc.py").write_text('HALF = 0.5\n\n\ndef double(x):\n    """Twice x."""\n    return x * x\n')
    command = ("python", "-m", "pytest", "-q", "test_calc.py")
    work = task(
        workdir, files=("calc.py",), cases=(), tests=("test_calc.py",), test_cmd=command, scaffold=None
    )
    events, done = go(work, checker, "    return x ** 2\n", GOOD)
    assert (done.status, done.files_changed) == ("solved", ("calc.py",))
    assert (workdir / "calc.py").read_text().startswith("HALF = 0.5\n\n\ndef double(x):\n")
    evidence = next(e.to_dict()["evidence"] for e in events if e.type == "repairing")
    assert "assert 16 == 8" in evidence
    (workdir / "calc.py").write_text("")
    cheat = "test_calc.py\n```python\ndef test_double(): pass\n```"
    _, done = go(
        task(workdir, files=("calc.py",), entry=None, cases=(), tests=("test_calc.py",), test_cmd=command),
        checker, *[cheat] * 3,
    )  # fmt: skip
    assert done.exit_code == 4
    assert (workdir / "test_calc.py").read_text() == test


def test_the_scripted_model_is_a_model() -> None:
    model: Model = ScriptedModel(["x"])
    assert isinstance(model.info, ModelInfo)


def test_diffusion_steps_pass_through(workdir: Path, checker: Checker) -> None:
    events, done = go(task(workdir), checker, GOOD, decode="diffusion")
    assert done.status == "solved"
    assert done.tokens_per_forward > 1
    assert any(e.to_dict()["step"]["head"] == "diffusion" for e in events if e.type == "decoded")


def test_a_file_to_mend_is_checked_first(workdir: Path, checker: Checker) -> None:
    (workdir / "solution.py").write_text(f'def double(x):\n    """Twice x."""\n{BAD}')
    events, done = go(task(workdir, scaffold=None), checker, GOOD)
    assert kinds(events)[:3] == ["started", "verified", "scaffolded"]
    assert (done.status, done.steps, done.repairs) == ("solved", 1, 0)
    messages = next(e.to_dict()["messages"] for e in events if e.type == "model_called")
    assert "double(2) should return 4, but got 3." in messages[2]["content"]
    assert messages[3]["content"].endswith('def double(x):\n    """Twice x."""\n')
    # And nothing is to do where the tests pass already.
    events, done = go(task(workdir, scaffold=None), checker)
    assert kinds(events) == ["started", "verified", "done"]
    assert (done.status, done.exit_code, done.steps, done.files_changed) == ("solved", 0, 0, ())

"""The contract of every sandbox as tests that need no test framework: `verify doctor` and pytest both run
them.

    for name, test in CHECKS.items():
        test(checker)          # raises ContractError with what is wrong

Each test states one promise. A backend that cannot keep one says so in `EXCUSED`, with the reason.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verify.checker import Checker
from verify.contract import (
    CHECKS,
    COMMAND,
    EXCUSED,
    QUICK,
    ContractError,
    call,
    equal,
    promise,
    run_all,
    want,
)
from verify.contract_sources import COUNT_FILES, DAEMON, READABLE, SHARE_OUT, SOCKETS
from verify.limits import Limits
from verify.request import Case, CommandCheck, FunctionCheck, ProgramCase, ProgramCheck, TestSourceCheck
from verify.verdict import Status

__all__ = ["CHECKS", "EXCUSED", "ContractError", "run_all"]


@promise
def honest_functions_pass(checker: Checker) -> None:
    """An honest function passes, and every case is counted."""
    cases = tuple(Case((number,), expected=number + 1) for number in range(20))
    verdict = want(call(checker, "def f(x):\n    return x + 1", *cases), Status.PASSED)
    equal((verdict.passed, verdict.total, verdict.per_case), (20, 20, (True,) * 20))


@promise
def wrong_functions_fail(checker: Checker) -> None:
    """One wrong answer fails the check and is flagged where it is."""
    cases = (Case((1,), expected=2), Case((2,), expected=9), Case((3,), expected=4))
    verdict = want(call(checker, "def f(x):\n    return x + 1", *cases), Status.FAILED)
    equal(verdict.per_case, (True, False, True))


@promise
def values_keep_their_types(checker: Checker) -> None:
    """Every supported type goes in and comes out as it was."""
    values: tuple[Any, ...] = (
        *(None, True, False, 0, -1, 2**70, 1.5, float("inf"), float("nan"), 1 + 2j, "", "\u00e9\U0001f600\0"),
        *(b"\0\xff", (), (1, (2,)), [], [1, [2.0]], {1, "a"}, frozenset((1, 2)), {}, {(1, 2): {"a": None}}),
    )
    want(call(checker, "def f(x):\n    return x", *(Case((v,), expected=v) for v in values)), Status.PASSED)
    pairs: tuple[tuple[Any, Any], ...] = (
        (1, True),
        (1, 1.0),
        ([1], (1,)),
        ({1}, frozenset((1,))),
        ("a", b"a"),
    )
    for sent, expected in pairs:
        want(call(checker, "def f(x):\n    return x", Case((sent,), expected=expected)), Status.FAILED)


@promise
def comparisons_are_the_judges(checker: Checker) -> None:
    """Tolerance, order, oracle, exceptions, mutation and generators."""
    want(
        call(checker, "def f(x):\n    return x + 1e-9", Case((1.0,), expected=1.0, tolerance=1e-6)),
        Status.PASSED,
    )
    want(
        call(checker, "def f(x):\n    return x + 1e-3", Case((1.0,), expected=1.0, tolerance=1e-6)),
        Status.FAILED,
    )
    unordered = Case(([3, 1],), expected=[1, 3], compare="unordered")
    want(call(checker, "def f(x):\n    return x", unordered), Status.PASSED)
    oracle = "def accept(args, output):\n    return output * output == args[0]"
    for answer, status in (("3", Status.PASSED), ("-3", Status.PASSED), ("4", Status.FAILED)):
        case = Case((9,), compare="oracle", oracle=oracle)
        want(call(checker, f"def f(x):\n    return {answer}", case), status)
    raises = Case((0,), raises="ZeroDivisionError")
    want(call(checker, "def f(x):\n    return 1 // x", raises), Status.PASSED)
    want(call(checker, "def f(x):\n    raise KeyError(x)", raises), Status.FAILED)
    mutated = Case(([2, 1],), expected=([1, 2],), mutates=True)
    want(call(checker, "def f(x):\n    x.sort()", mutated), Status.PASSED)
    want(call(checker, "def f(x):\n    yield from range(x)", Case((3,), expected=[0, 1, 2])), Status.PASSED)


@promise
def faults_have_names(checker: Checker) -> None:
    """Each way to fail ends in its own status."""
    for body, status in (
        ("def f(x:", Status.COMPILE_ERROR),
        ("def g(x):\n    return 1", Status.COMPILE_ERROR),
        ("import no_such_module", Status.COMPILE_ERROR),
        ("def f(x):\n    return x.missing", Status.RUNTIME_ERROR),
        ("def f(x):\n    return f(x)", Status.RUNTIME_ERROR),
        ("import ctypes\ndef f(x):\n    ctypes.string_at(0)", Status.RUNTIME_ERROR),
        ("import os\ndef f(x):\n    os._exit(0)", Status.FAILED),
        ("raise SystemExit(0)", Status.FAILED),
        ("def f(x):\n    return object()", Status.BAD_OUTPUT),
        ("def f(x):\n    return 'x' * 1_000_000", Status.OUTPUT_LIMIT),
        ("def f(x):\n    print('x' * 1_000_000)", Status.OUTPUT_LIMIT),
        ("def f(x):\n    return bytearray(1 << 30)", Status.OOM),
    ):
        try:
            want(call(checker, body), status)
        except ContractError as error:
            raise ContractError(f"{body!r}: {error}") from None


@promise
def no_tests_is_unsupported(checker: Checker) -> None:
    """A check that tests nothing never passes."""
    want(checker.check(FunctionCheck("def f(): pass", "f", ())), Status.UNSUPPORTED)
    want(checker.check(TestSourceCheck("def f(): pass", "f", "x = 1")), Status.UNSUPPORTED)
    want(checker.check(ProgramCheck({"a.py": ""}, "a.py", ())), Status.UNSUPPORTED)


@promise
def time_limits_hold(checker: Checker) -> None:
    """Spinning and sleeping end at the wall limit, and the next check is not delayed."""
    limits = Limits(wall_s=0.5, cpu_s=5, mem_mb=256)
    for body in ("def f(x):\n    while True: pass", "import time\ndef f(x):\n    time.sleep(60)"):
        start = time.monotonic()
        want(call(checker, body, limits=limits), Status.TIMEOUT)
        want(call(checker, "def f(x):\n    return x + 1"), Status.PASSED)
        if time.monotonic() - start > 20:
            raise ContractError("the time limit was not kept")


@promise
def processes_end_with_the_check(checker: Checker) -> None:
    """What a candidate starts is gone when the next check runs."""
    want(call(checker, DAEMON), Status.PASSED)
    time.sleep(0.8)
    late = "import os\ndef f(x):\n    return x + 1 + os.path.exists('/tmp/trihead-late')"
    want(call(checker, late), Status.PASSED)


@promise
def scratch_is_private(checker: Checker) -> None:
    """A file of one check is not there for the next, and disk space has a cap."""
    for _ in range(2):
        want(call(checker, COUNT_FILES), Status.PASSED)
    fill = "def f(x):\n    open('big', 'wb').write(bytes(64 << 20))\n    return x + 1"
    want(call(checker, fill), Status.RUNTIME_ERROR)


@promise
def host_files_are_not_there(checker: Checker) -> None:
    """Neither home folders nor /etc nor our own temporary files can be read."""
    with tempfile.NamedTemporaryFile("w", prefix="trihead-secret-") as file:
        file.write("secret")
        file.flush()
        paths = [file.name, "/etc/shadow", "/etc/passwd", str(Path.home() / ".bashrc")]
        want(call(checker, READABLE, Case((paths,), expected=[])), Status.PASSED)


@promise
def network_is_off(checker: Checker) -> None:
    """No socket of any family can be made."""
    want(call(checker, SOCKETS), Status.PASSED)


@promise
def memory_is_shared_out(checker: Checker) -> None:
    """Many processes together cannot take much more than the limit without being stopped."""
    limits = Limits(wall_s=6, cpu_s=6, mem_mb=256)
    verdict = call(checker, SHARE_OUT, Case((1,), expected=24), limits=limits)
    want(verdict, Status.FAILED, Status.OOM, Status.RUNTIME_ERROR, Status.TIMEOUT)
    want(call(checker, "def f(x):\n    return x + 1"), Status.PASSED)


@promise
def test_source_is_not_in_reach(checker: Checker) -> None:
    """Trusted test source runs elsewhere: assertions, helpers, loops, and the candidate's own faults."""
    test = "def check(candidate):\n    for n in range(50):\n        assert candidate(n) == twice(n), n"
    prelude = "def twice(n):\n    return 2 * n"
    for body, status in (
        ("def f(n):\n    return n + n", Status.PASSED),
        ("def f(n):\n    return 2 * n if n < 40 else 0", Status.FAILED),
        ("def f(n):\n    raise ValueError(n)", Status.RUNTIME_ERROR),
        ("import os\ndef f(n):\n    os._exit(0)", Status.FAILED),
        ("class A:\n    def __eq__(s, o): return True\ndef f(n):\n    return A()", Status.BAD_OUTPUT),
    ):
        want(checker.check(TestSourceCheck(body, "f", test, prelude, QUICK)), status)


@promise
def programs_run(checker: Checker) -> None:
    """A script gets stdin and argv, several files, and its stdout and exit code are judged."""
    files = {
        "main.py": "import sys\nfrom pkg.util import up\nprint(up(input()), *sys.argv[1:])\n",
        "pkg/__init__.py": "",
    }
    files["pkg/util.py"] = "def up(text):\n    return text.upper()\n"
    case = ProgramCase(stdin="hello\n", stdout="HELLO a b\n", argv=("a", "b"))
    want(checker.check(ProgramCheck(files, "main.py", (case,), limits=QUICK)), Status.PASSED)
    exits = ProgramCase(stdout="", exit_code=3)
    want(
        checker.check(ProgramCheck({"m.py": "raise SystemExit(3)"}, "m.py", (exits,), limits=QUICK)),
        Status.PASSED,
    )
    want(checker.check(ProgramCheck({"m.py": "1 / 0"}, "m.py", (case,), limits=QUICK)), Status.RUNTIME_ERROR)
    result = checker.exec_python("import sys; print(sys.stdin.read()[::-1])", b"abc", QUICK)
    equal((result.status, result.stdout, result.exit_code), (Status.PASSED, b"cba\n", 0))


@promise
def commands_run_in_a_copy(checker: Checker) -> None:
    """pytest runs in a private copy; protected files are the pristine ones; the workspace is not touched."""
    with tempfile.TemporaryDirectory() as name:
        work, clean = Path(name, "work"), Path(name, "clean")
        for folder in (work, clean):
            folder.mkdir()
        (work / "sums.py").write_text("open('made', 'w').close()\n\ndef f(x):\n    return x + 1\n")
        (work / "test_sums.py").write_text("def test(): pass\n")
        (clean / "test_sums.py").write_text("from sums import f\n\ndef test():\n    assert f(1) == 3\n")
        (work / "out").symlink_to("/etc")
        argv = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        want(checker.check(CommandCheck(work, argv, limits=COMMAND)), Status.PASSED)
        guarded = CommandCheck(work, argv, ("test_sums.py",), clean, COMMAND)
        want(checker.check(guarded), Status.FAILED)
        equal(sorted(path.name for path in work.iterdir()), ["out", "sums.py", "test_sums.py"])


@promise
def order_is_kept_in_parallel(checker: Checker) -> None:
    """`check_many` keeps the order, reads ahead a bounded number, and stops when cancelled."""
    requests = [
        FunctionCheck(f"def f(x):\n    return {number}", "f", (Case((0,), expected=number % 3),))
        for number in range(24)
    ]
    passed = [verdict.ok for verdict in checker.check_many(requests)]
    equal(passed, [number < 3 for number in range(24)])
    cancel = threading.Event()
    taken = []

    def endless() -> Iterator[FunctionCheck]:
        while True:
            taken.append(1)
            yield requests[0]

    for done, _ in enumerate(checker.check_many(endless(), cancel=cancel), 1):
        if done == 5:
            cancel.set()
    if len(taken) > 5 + checker.jobs * 8:
        raise ContractError(f"{len(taken)} requests were taken for 5 verdicts")


@promise
def a_broken_server_heals(checker: Checker) -> None:
    """When the fork server is killed from outside, no request is lost."""
    want(call(checker, "def f(x):\n    return x + 1"), Status.PASSED)
    checker.break_servers()
    for _ in range(checker.jobs + 1):
        want(call(checker, "def f(x):\n    return x + 1"), Status.PASSED)

"""The door to `verify`: one checker for a run, shared by threads, with a second look at verdicts of ours.

with Judge() as judge:
    verdict = judge.test_source(code, "f", tests)
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from evals.errors import InfrastructureError
from verify.limits import Limits
from verify.request import CheckRequest, TestSourceCheck
from verify.verdict import Status, Verdict

if TYPE_CHECKING:
    from verify.checker import Checker, ExecResult

TEST_LIMITS = Limits(wall_s=30.0, cpu_s=12.0, mem_mb=1024)


class Judge:
    """A checker with `jobs` warm sandboxes, opened at its first use or, when used in `with`, at once.

    Opening raises InfrastructureError when no sandbox can run here. lazy: also in `with` only at its first
    use, for runs that may need none.
    """

    def __init__(self, jobs: int = 2, *, lazy: bool = False) -> None:
        self._jobs, self._lazy = jobs, lazy
        self._stack = ExitStack()

    @cached_property
    def checker(self) -> Checker:
        from verify.checker import open_checker

        checker: Checker = self._stack.enter_context(open_checker(jobs=self._jobs))
        if checker.sandbox is None:
            self._stack.close()
            raise InfrastructureError(f"no sandbox works here: {checker.probe.why}")
        probe = checker.exec_python("", b"", Limits())
        if probe.status is not Status.PASSED:
            # Better before the first sample is generated than after the last.
            self._stack.close()
            raise InfrastructureError(f"the sandbox does not work: {probe.detail or probe.status}")
        return checker

    def check(self, request: CheckRequest) -> Verdict:
        """The verdict of `verify`; one that is our own fault (infrastructure) is tried once more."""
        verdict = self.checker.check(request)
        return verdict if verdict.rewardable else self.checker.check(request)

    def test_source(self, code: str, entry: str, test: str, prelude: str = "") -> Verdict:
        """Run `test`'s `check(candidate)` in a process apart from the candidate. `prelude` runs before it
        there.
        """
        return self.check(TestSourceCheck(code, entry, test, prelude=prelude, limits=TEST_LIMITS))

    def execute(self, source: str, stdin: bytes, limits: Limits) -> ExecResult:
        """Run a Python program in a warm sandbox and return its bytes."""
        return self.checker.exec_python(source, stdin, limits)

    def __enter__(self) -> Judge:
        if not self._lazy:
            _ = self.checker
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stack.close()

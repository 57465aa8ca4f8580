"""The figures of the panel are those of the loop's events."""

from __future__ import annotations

from agent.events import Decoded, Done, Edited, ModelAnswered, ModelCalled, Repairing, Restored, Verified
from model.request import Generation, Step, Token
from tui.progress import Progress
from verify.verdict import Status, Verdict

FAILED = Verdict(Status.FAILED, 1, 2, (True, False))
PASSED = Verdict(Status.PASSED, 2, 2, (True, True))


def called(phase: str, call: int) -> ModelCalled:
    return ModelCalled(phase=phase, call=call, messages=())  # type: ignore[arg-type]  # a literal, passed on


def decoded(index: int, *, head: str = "ar", count: int = 1) -> Decoded:
    tokens = tuple(Token(position, 0, "x", 1.0) for position in range(count))
    return Decoded(phase="infill", call=1, step=Step(index, committed=tokens, head=head, ms=100.0))


def answered(phase: str, tokens: int, forwards: int) -> ModelAnswered:
    generation = Generation("x", (), (), (), 40, tokens, forwards, 2.0, 0.1, "stop", "m", "ar")
    return ModelAnswered(phase=phase, call=1, generation=generation)  # type: ignore[arg-type]  # as above


def done(status: str) -> Done:
    return Done(status, 0, "s", "t", PASSED, ("f.py",), 3, 1, 30, 10, 3.0, 9.5)  # type: ignore[arg-type]  # as above


def test_a_run_with_one_repair() -> None:
    progress = Progress(lambda: 0.0)
    for event in (called("infill", 1), decoded(0, head="diffusion", count=3), decoded(1)):
        progress.apply(event)
    assert (progress.tokens, progress.forwards, progress.stage) == (4, 2, "infill")
    assert progress.heads == {"diffusion": 3, "ar": 1}
    progress.apply(answered("infill", 5, 2))
    assert (progress.tokens, progress.tokens_per_forward, progress.tokens_per_second) == (5, 2.5, 2.5)
    assert progress.context_tokens == 45
    progress.apply(Edited("f.py", "", True))
    progress.apply(Verified(FAILED, 0, False))
    assert (progress.marks["verify"], progress.files) == ("failed", {"f.py": "+"})
    progress.apply(Repairing(1, "evidence"))
    progress.apply(called("repair", 2))
    assert (progress.marks["repair"], progress.repairs) == ("active", 1)
    progress.apply(answered("repair", 5, 5))
    progress.apply(Verified(PASSED, 1, False))
    progress.apply(done("solved"))
    assert {progress.marks[stage] for stage in ("infill", "verify", "repair")} == {"done"}
    assert progress.marks["plan"] == "todo"
    assert (progress.tokens, progress.forwards, progress.elapsed) == (30, 10, 9.5)


def test_an_interrupted_stage_is_neither_done_nor_failed() -> None:
    progress = Progress(lambda: 0.0)
    progress.apply(called("plan", 1))
    progress.apply(Restored(("f.py",)))
    progress.apply(done("cancelled"))
    assert progress.marks["plan"] == "todo"
    assert progress.files == {}


def test_elapsed_follows_the_clock_until_the_end() -> None:
    now = [10.0]
    progress = Progress(lambda: now[0])
    now[0] = 12.5
    assert progress.elapsed == 2.5

"""The fork server's relay: reads jobs from descriptor 0, gives each to fresh children, writes one reply to 1.

It runs one job at a time and never executes or decodes anything a candidate made: it moves opaque frames with
a cap, watches the clock and the output caps, and kills. Its children are forked by another process that never
sees a job (`verify.inside.template`), ahead of the next job, so that their namespaces cost no latency.
Started by `verify.inside.start`. It ends when the judge's end of the stream closes.
"""

from __future__ import annotations

import _socket
import contextlib
import marshal
import os
import signal
import time
from typing import Any

from verify.codec import encode
from verify.inside.child import Child, poller
from verify.inside.harness import DETAIL, NONCE
from verify.inside.template import Nursery
from verify.inside.wipe import wipe
from verify.inside.wire import HEADER, read_frame, write_frame

CLOSING_MS = 100
TOTAL_FACTOR = 64  # all encoded results of one check together: this many times out_bytes
SLACK = NONCE + 1 + 4 * DETAIL  # a frame holds a nonce, a kind, and a value or a short explanation


class JudgeGoneError(Exception):
    """The stream to the judge closed: nobody wants the answer."""


class Server:
    """The relay. `nursery` gives it children; see `verify.inside.template` for why it does not fork them
    itself.
    """

    def __init__(self, mode: str, nursery: Nursery) -> None:
        self.mode = mode
        self.nursery = nursery
        self.scratch = os.getcwd()

    def send(self, child: Child, payload: bytes, deadline: float) -> bool:
        """Write a frame, never blocking on a child that does not read. False: it is gone or too slow."""
        view = memoryview(HEADER.pack(len(payload)) + payload)
        while view:
            try:
                view = view[os.write(child.ctl, view) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.0005)
            except OSError:
                return False
        return True

    def wait_frame(
        self, watch: Any, speaker: Child, children: list[Child], cap: int, out_cap: int, deadline: float
    ) -> bytes | str:
        """The next frame of `speaker`, or why there will be none: exit, timeout, flood, huge."""
        while True:
            try:
                frame = speaker.frame(cap)
            except OverflowError:
                return "huge"
            if frame is not None:
                return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            for fd, _ in watch.poll(left * 1_000 + 1):
                if fd == 0:
                    raise JudgeGoneError
                if fd == speaker.ctl:
                    if not speaker.receive():
                        watch.unregister(fd)
                        end = self._next(speaker, cap)
                        # a process closes its descriptors just before it ends; one that lives on did it
                        return "closed" if end == "exit" and speaker.alive(CLOSING_MS) else end
                elif fd == speaker.pidfd:
                    speaker.receive()
                    return self._next(speaker, cap)
                elif printer := next((child for child in children if fd in child.captured), None):
                    printer.drain(fd, out_cap)
                    if printer.over:
                        return "flood"
                    if fd not in printer.open:
                        watch.unregister(fd)
                else:  # another child of this job ended; the speaker notices by itself
                    watch.unregister(fd)

    def _next(self, speaker: Child, cap: int) -> bytes | str:
        try:
            frame = speaker.frame(cap)
        except OverflowError:
            return "huge"
        return "exit" if frame is None else frame

    def finish(self, children: list[Child], out_cap: int) -> None:
        """End a job: no process, no file of it is left when this returns."""
        for child in children:
            self.nursery.reap(child, out_cap, last=child is children[-1])
            child.close()
        if self.mode != "namespaces":
            self.nursery.collect()
            if self.mode == "container":
                # the template is init: the kernel spares it and us, and no fork slips through a kill of
                # everybody
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
            self.nursery.clean_up()
            wipe(self.scratch)

    def cases(self, job: dict[str, Any]) -> dict[str, Any]:
        """Function cases: define the candidate, then one input at a time, each with a nonce of its own."""
        limits = job["limits"]
        out_cap = limits["out_bytes"]
        answers: list[bytes | None] = [None] * len(job["cases"])
        start = time.monotonic()
        deadline = start + limits["wall_s"]
        child = self.nursery.take()
        watch = poller([child])
        watch.register(child.ctl, 1)
        total = 0

        def ask(payload: bytes, nonce: bytes) -> bytes | str:
            """A kind and a value, or why there is no answer."""
            if not self.send(child, payload, deadline):
                return "timeout" if time.monotonic() > deadline else "exit"
            frame = self.wait_frame(watch, child, [child], out_cap + SLACK, out_cap, deadline)
            if isinstance(frame, str):
                return frame
            if frame[:NONCE] != nonce or len(frame) <= NONCE:
                return "garbage"
            return frame[NONCE:]

        nonce = os.urandom(NONCE)
        ready = ask(
            marshal.dumps({**job["candidate"], "limits": limits, "nonce": nonce, "role": "candidate"}), nonce
        )
        compiled = time.monotonic()
        end = ready if isinstance(ready, str) else "ok"
        if not isinstance(ready, str) and ready[:1] == b"R":
            for index, case in job["cases"]:
                nonce = os.urandom(NONCE)
                answer = ask(nonce + case, nonce)
                if isinstance(answer, str):
                    end = answer
                    break
                total += len(answer) - 1
                if total > TOTAL_FACTOR * out_cap:
                    end = "huge"
                    break
                answers[index] = answer
        if child.inbox:  # something was said that answers nothing
            end = "garbage" if end == "ok" else end
        self.finish([child], out_cap)
        reply = self._report([child], end, start)
        told = None if isinstance(ready, str) else ready
        return reply | {"ready": told, "answers": answers, "compile_ms": (compiled - start) * 1_000}

    def test(self, job: dict[str, Any]) -> dict[str, Any]:
        """Trusted test source in one child, the candidate in another, a socket pair between them."""
        limits = job["limits"]
        out_cap = limits["out_bytes"]
        start = time.monotonic()
        deadline = start + limits["wall_s"]
        candidate, driver = self.nursery.take(), self.nursery.take()
        children = [candidate, driver]
        watch = poller(children)
        watch.register(candidate.ctl, 1)
        nonce = os.urandom(NONCE)
        outcome: bytes | str = b""
        message = marshal.dumps({**job["candidate"], "limits": limits, "nonce": nonce, "role": "candidate"})
        ready: bytes | str = "exit"
        if self.send(candidate, message, deadline):
            ready = self.wait_frame(watch, candidate, children, out_cap + SLACK, out_cap, deadline)
        compiled = time.monotonic()
        end = ready if isinstance(ready, str) else "ok"
        if end == "ok" and (ready[:NONCE] != nonce or candidate.inbox):
            end = "garbage"
        if end == "ok" and ready[NONCE:] == b"R":
            watch.unregister(candidate.ctl)
            watch.register(driver.ctl, 1)
            nonce = os.urandom(NONCE)
            self.send(
                driver,
                marshal.dumps({**job["test"], "limits": limits, "nonce": nonce, "role": "test"}),
                deadline,
            )
            os.set_blocking(candidate.ctl, True)
            _hand_over(driver.ctl, candidate.ctl)
            outcome = self.wait_frame(watch, driver, children, out_cap + SLACK, out_cap, deadline)
            if isinstance(outcome, str):
                end = outcome
            elif outcome[:NONCE] != nonce:
                end = "driver"
            else:
                outcome = outcome[NONCE:]
        self.finish([driver, candidate], out_cap)
        reply = self._report([candidate, driver], end, start)
        return reply | {"ready": ready[NONCE:] if end == "ok" else None,
                        "outcome": outcome if end == "ok" else None,
                        "compile_ms": (compiled - start) * 1_000}  # fmt: skip

    def program(self, job: dict[str, Any]) -> dict[str, Any]:
        """A script, run once in a fresh child; its exit code, stdout and stderr are the answer."""
        limits = job["limits"]
        out_cap = limits["out_bytes"]
        start = time.monotonic()
        deadline = start + limits["wall_s"]
        child = self.nursery.take()
        watch = poller([child])
        end: bytes | str = "exit"
        if self.send(child, marshal.dumps({**job["program"], "limits": limits, "role": "program"}), deadline):
            end = self.wait_frame(watch, child, [child], 0, out_cap, deadline)
        self.finish([child], out_cap)
        if child.over:
            end = "flood"
        return self._report([child], end if isinstance(end, str) else "garbage", start)

    def _report(self, children: list[Child], end: str, start: float) -> dict[str, Any]:
        first = children[0]
        if any(child.over for child in children):
            end = "flood"
        return {
            "end": end,
            "status": first.status,
            "cpu_s": max(child.cpu for child in children),
            "rss_kb": max(child.rss_kb for child in children),
            "out": bytes(first.captured[first.out]),
            "err": bytes(first.captured[first.err]),
            "driver_err": bytes(children[-1].captured[children[-1].err]) if len(children) > 1 else b"",
            "wall_ms": (time.monotonic() - start) * 1_000,
        }

    def ping(self, job: dict[str, Any]) -> dict[str, Any]:
        return {}

    def serve(self) -> None:
        """Answer jobs until the judge closes the stream."""
        kinds = {"cases": self.cases, "test": self.test, "program": self.program, "ping": self.ping}
        while (frame := read_frame(0)) is not None:
            job = marshal.loads(frame)
            try:
                reply = kinds[job["kind"]](job)
            except JudgeGoneError:
                return
            write_frame(1, encode(reply))
            del frame, reply
            self.nursery.prepare(2 if job["kind"] == "test" else 1)
            del job


def _hand_over(channel: int, fd: int) -> None:
    import array

    through = _socket.socket(fileno=channel)
    through.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [fd]))])
    through.detach()

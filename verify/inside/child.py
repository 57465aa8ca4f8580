"""One forked child as the fork server sees it: its process, its socket pair, its captured output."""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
import sys
from typing import Any, NoReturn

from verify.inside import confine
from verify.inside.driver import run_test
from verify.inside.harness import run_candidate, run_program
from verify.inside.wire import HEADER, read_frame

ROLES = {"candidate": run_candidate, "test": run_test, "program": run_program}
CHUNK = 65_536


class Child:
    """A child waiting for its job, then at it. `inbox` is what it sent and nobody has read as a frame yet."""

    def __init__(self, pid: int, ctl: int, out: int, err: int) -> None:
        self.pid = pid
        self.ctl = ctl
        self.inbox = bytearray()
        self.captured = {out: bytearray(), err: bytearray()}
        self.out, self.err = out, err
        self.open = {out, err}
        self.pidfd = os.pidfd_open(pid)
        self.over = False  # printed more than the cap
        self.status = 0
        self.cpu = 0.0
        self.rss_kb = 0

    def drain(self, fd: int, cap: int) -> None:
        """Read what is there from stdout or stderr; above the cap only the fact is kept."""
        kept = self.captured[fd]
        try:
            part = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if not part:
            self.open.discard(fd)
        elif len(kept) + len(part) > cap:
            kept += part[: cap - len(kept)]
            self.over = True
        else:
            kept += part

    def receive(self) -> bool:
        """Read what is there from the socket pair; False when the other side is closed."""
        try:
            part = os.read(self.ctl, CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.inbox += part
        return bool(part)

    def frame(self, cap: int) -> bytes | None:
        """The next whole frame, None when there is none yet. Raises OverflowError for one above the cap."""
        if len(self.inbox) < HEADER.size:
            return None
        (size,) = HEADER.unpack_from(self.inbox)
        if size > cap:
            raise OverflowError
        if len(self.inbox) < HEADER.size + size:
            return None
        body = bytes(self.inbox[HEADER.size : HEADER.size + size])
        del self.inbox[: HEADER.size + size]
        return body

    def alive(self, patience_ms: int = 0) -> bool:
        watch = select.poll()
        watch.register(self.pidfd, select.POLLIN)
        return not watch.poll(patience_ms)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def drain_all(self, cap: int) -> None:
        """What a dead child's pipes still hold, up to the cap."""
        for fd in tuple(self.open):
            for _ in range(cap // CHUNK + 2):
                before = len(self.captured[fd])
                self.drain(fd, cap)
                if fd not in self.open or self.over or len(self.captured[fd]) == before:
                    break

    def close(self) -> None:
        for fd in (self.ctl, self.out, self.err, self.pidfd):
            os.close(fd)


def poller(children: list[Child]) -> Any:
    """Watches the children's output and end, and the judge's stream (descriptor 0) for its end only."""
    watch = select.poll()
    watch.register(0, 0)
    for child in children:
        watch.register(child.out, select.POLLIN)
        watch.register(child.err, select.POLLIN)
        watch.register(child.pidfd, select.POLLIN)
    return watch


def run_child(ctl: int, out: int, err: int, mode: str, baseline: int, proc: int) -> NoReturn:
    """In the fork: keep four descriptors, confine ourselves, wait for a job, do it, leave."""
    code = 70
    try:
        # the originals are all above CTL: the server keeps its low numbers taken, and CTL itself is /dev/null
        os.dup2(confine.CTL, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(ctl, confine.CTL)
        confine.enter(mode, proc)
        os.closerange(confine.CTL + 1, 256)
        frame = read_frame(confine.CTL)
        if frame is not None:
            job = marshal.loads(frame)
            confine.apply(job["limits"], mode, baseline, private=job["role"] == "test")
            gc.enable()
            ROLES[job["role"]](job)
        code = 0
    except BrokenPipeError:
        code = 0
    except BaseException as error:
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"harness: {type(error).__name__}: {error}\n")
            sys.stderr.flush()
    finally:
        os._exit(code)

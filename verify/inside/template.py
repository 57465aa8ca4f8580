"""The process that every check is forked from. It never sees a check.

A fork inherits its parent's memory, freed parts included. Were the parent the process that moves jobs and
answers, a candidate could search its own heap for another candidate's solution, another one's outputs, or
test source. So the server is two processes. The template only forks, waits and counts; the relay
(`verify.inside.server`) moves the data and never forks. They talk over a socket pair in fixed-size words:

    relay -> template     S              fork one child          -> pid, and its three descriptors
    (SCM_RIGHTS)
                          R pid          wait for a killed child -> status, CPU microseconds, peak RSS in kB
                          E pid          the same for a job's last child; renews a scratch folder it touched
                          C              clean up whatever else our children left, after the relay killed it
"""

from __future__ import annotations

import _socket
import array
import contextlib
import os
import signal
import struct
from typing import Any, NoReturn

from verify.inside import confine, linux
from verify.inside.child import Child, run_child
from verify.inside.scratch import Scratch

REQUEST = struct.Struct("=cq")
ANSWER = struct.Struct("=qqq")


class Template:
    """The template's side: serve until the relay is gone."""

    def __init__(self, channel: Any, mode: str, relay: int) -> None:
        self.channel = channel
        self.mode = mode
        self.relay = relay
        self.own_ns = os.pidfd_open(os.getpid()) if mode == "namespaces" else -1
        self.baseline = confine.address_space()
        self.proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.scratch = Scratch() if mode == "namespaces" else None

    def serve(self) -> NoReturn:
        """Answer the relay's requests; end with it, and with us whatever runs in the sandbox."""
        while len(request := self.channel.recv(REQUEST.size)) == REQUEST.size:
            word, pid = REQUEST.unpack(request)
            if word == b"S":
                self.spawn()
            elif word in b"RE":
                _, status, usage = os.wait4(pid, 0)
                cpu = int((usage.ru_utime + usage.ru_stime) * 1e6)
                if word == b"E" and self.scratch is not None:
                    self.scratch.renew()
                self.channel.sendall(ANSWER.pack(status, cpu, usage.ru_maxrss))
            else:
                self.clean_up()
                self.channel.sendall(ANSWER.pack(0, 0, 0))
        os._exit(0)

    def spawn(self) -> None:
        """Fork a child that confines itself and waits for its job."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        ctl, child_ctl = ours.detach(), theirs.detach()
        out, child_out = os.pipe()
        err, child_err = os.pipe()
        if self.mode == "namespaces":
            # a new PID namespace for the next fork only; back to our own first, or the kernel refuses a
            # second
            linux.setns(self.own_ns, linux.CLONE_NEWPID)
            linux.unshare(linux.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            run_child(child_ctl, child_out, child_err, self.mode, self.baseline, self.proc)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", (ctl, out, err)))]
        self.channel.sendmsg([ANSWER.pack(pid, 0, 0)], rights)
        for fd in (ctl, out, err, child_ctl, child_out, child_err):
            os.close(fd)

    def clean_up(self) -> None:
        """Reap what the relay killed; with --unsafe also find and kill orphans, which come to us, the
        subreaper.
        """
        while True:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                others = [int(word) for word in file.read().split() if int(word) != self.relay]
            if not others:
                return
            for pid in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


class Nursery:
    """The relay's side of the channel. Spares are asked for ahead and collected when needed."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.spares: list[Child] = []
        self.asked = 0
        self._space = _socket.CMSG_SPACE(3 * array.array("i").itemsize)

    def prepare(self, count: int) -> None:
        """Have `count` children ready or on the way."""
        while self.asked + len(self.spares) < count:
            self.channel.sendall(REQUEST.pack(b"S", 0))
            self.asked += 1

    def take(self) -> Child:
        """A living child that waits for its job."""
        while True:
            self.prepare(1)
            self.collect()
            child = self.spares.pop()
            if child.alive():
                return child
            self.reap(child, 0)
            child.close()

    def collect(self) -> None:
        """Receive the children that are on the way: answers come in the order of requests."""
        while self.asked:
            message, ancillary, _, _ = self.channel.recvmsg(ANSWER.size, self._space)
            ctl, out, err = array.array("i", ancillary[0][2])
            for fd in (ctl, out, err):
                os.set_blocking(fd, False)
            self.spares.append(Child(ANSWER.unpack(message)[0], ctl, out, err))
            self.asked -= 1

    def reap(self, child: Child, cap: int, *, last: bool = False) -> None:
        """Kill a child (in `namespaces` mode with all it started: it is their init) and collect it.

        last: no other child of the job is left.
        """
        self.collect()
        child.kill()
        self.channel.sendall(REQUEST.pack(b"E" if last else b"R", child.pid))
        child.status, cpu, child.rss_kb = ANSWER.unpack(self.channel.recv(ANSWER.size))
        child.cpu = cpu / 1e6
        child.drain_all(cap)

    def clean_up(self) -> None:
        """Let go of the spares, which are about to be killed with everybody else, and have all reaped."""
        self.collect()
        while self.spares:
            self.spares.pop().close()
        self.channel.sendall(REQUEST.pack(b"C", 0))
        self.channel.recv(ANSWER.size)

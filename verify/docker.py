"""The Docker sandbox: a hardened container a fork server, for hosts without user namespaces.

The container has no network, a read-only root, no capability, no new privileges, user 65534, its own memory,
process and CPU caps, no shared IPC, and one small tmpfs. Its main process is the fork server itself, so there
is no `docker exec` whose child could leak: when our end of the stream closes the server ends, and the
container is removed with it. The server runs one check at a time, is init (the kernel lets no one inside kill
it), and between two checks kills everybody else and empties the tmpfs. gVisor's runtime is used when the
daemon has it (`$TRIHEAD_DOCKER_RUNTIME` names another). The image is made from the running interpreter by
`verify install python-image`, without a registry.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import subprocess
from collections.abc import Sequence

from verify import docker_image
from verify.interpreter import ENVIRONMENT, FLAGS, interpreter
from verify.limits import Limits
from verify.sandbox import Probe, Sandbox, SandboxError, Started

GVISOR_TASKS = 256
# Old releases of gVisor have no pidfd_open and no list of children. The trial waits for the end of its stdin,
# since they also lose the output of a container that ends at once.
_TRIAL = """import os, sys
try:
    os.close(os.pidfd_open(os.getpid()))
except OSError as error:
    sys.exit(f"pidfd_open: {error.strerror}")
print("ok", flush=True)
sys.stdin.read()
"""
LABEL = "trihead.verify"
SERVER_MB = 192
SERVER_PROCESSES = 12
_REMEDY = "start the Docker daemon and run `verify install python-image`, or use --backend bubblewrap"
_numbers = itertools.count()


class Docker(Sandbox):
    name = "docker"
    mode = "container"

    @functools.cached_property
    def _probe(self) -> Probe:
        try:
            info = json.loads(_docker("info", "--format", "{{json .}}"))
            if info.get("ServerErrors"):
                return Probe(self.name, False, str(info["ServerErrors"][0]), _REMEDY)
            version = f"{info['ServerVersion']} ({self._runtime or info.get('DefaultRuntime', 'runc')})"
            image = docker_image.find()
        except SandboxError as error:
            return Probe(self.name, False, str(error), _REMEDY)
        except (ValueError, KeyError):
            return Probe(self.name, False, "`docker info` gave no usable answer", _REMEDY)
        if image is None:
            return Probe(
                self.name,
                False,
                "the Python image is not there",
                "run `verify install python-image`",
                version,
            )
        why = self._trial()
        skipped = ""
        if why and self._runtime == "runsc" and not os.environ.get("TRIHEAD_DOCKER_RUNTIME"):
            gvisor, self._runtime = why, ""
            why = self._trial()
            version = f"{info['ServerVersion']} ({info.get('DefaultRuntime', 'runc')})"
            skipped = f" (gVisor is there and not used: {gvisor})"
        if why:
            return Probe(self.name, False, f"a container cannot start: {why}", _REMEDY, version)
        runtime = "gVisor, " if "runsc" in self._runtime else ""
        isolation = f"{runtime}container without network and capabilities, seccomp, cgroup{skipped}"
        return Probe(self.name, True, "works", "", version, isolation)

    def _trial(self) -> str:
        """Why a container with what the fork server needs does not start; empty when it does."""
        started = self.command(("-c", _TRIAL), Limits(mem_mb=64, disk_mb=1), ())
        try:
            out, err = started.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            return "it did not within 60 s"
        finally:
            started.close()
        if out.strip() == b"ok":
            return ""
        return (err.decode("utf-8", "replace").strip().splitlines() or ["no output"])[-1][:200]

    @functools.cached_property
    def _runtime(self) -> str:
        if named := os.environ.get("TRIHEAD_DOCKER_RUNTIME"):
            return named
        runtimes = json.loads(_docker("info", "--format", "{{json .Runtimes}}"))
        return "runsc" if "runsc" in runtimes else ""

    def probe(self) -> Probe:
        return self._probe

    def serve(self, argv: Sequence[str], search_path: Sequence[str]) -> Started:
        return self._start(argv, Limits(disk_mb=64), search_path)

    def command(self, argv: Sequence[str], limits: Limits, search_path: Sequence[str]) -> Started:
        # `timeout` inside: were our client killed, the container would still end by itself
        wall = f"{limits.wall_s + 10:g}"
        return self._start(argv, limits, search_path, ("/usr/bin/timeout", "-k", "5", wall))

    def work_folder(self) -> str:
        return "/tmp"

    def _tasks(self, limits: Limits) -> int:
        """gVisor's own kernel counts too: it dies without a word when it can start no thread."""
        return limits.processes + SERVER_PROCESSES + (GVISOR_TASKS if "runsc" in self._runtime else 0)

    def _start(
        self, argv: Sequence[str], limits: Limits, search_path: Sequence[str], prefix: Sequence[str] = ()
    ) -> Started:
        image = docker_image.find()
        if image is None:
            raise SandboxError("the Python image is not there; run `verify install python-image`")
        name = f"trihead-{os.getpid()}-{next(_numbers)}-{os.urandom(3).hex()}"
        memory = f"{limits.mem_mb + SERVER_MB}m"
        line = ["run", "--interactive", "--rm", "--name", name, "--label", f"{LABEL}={os.getpid()}"]
        line += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "65534:65534"]
        line += ["--security-opt", "no-new-privileges", "--ipc", "none", "--log-driver", "none"]
        line += ["--pids-limit", str(self._tasks(limits))]
        line += ["--memory", memory, "--memory-swap", memory, "--ulimit", "core=0"]
        options = f"rw,nosuid,nodev,size={limits.disk_mb}m,nr_inodes={limits.disk_mb * 256},mode=0700"
        line += [
            "--tmpfs",
            f"/tmp:{options},uid=65534,gid=65534",
            "--workdir",
            "/tmp",
            "--hostname",
            "sandbox",
        ]
        if self._runtime:
            line += ["--runtime", self._runtime]
        for folder in search_path:
            line += ["--volume", f"{folder}:{folder}:ro"]
        for key, value in ENVIRONMENT.items():
            line += ["--env", f"{key}={value}"]
        line += ["--entrypoint", prefix[0] if prefix else interpreter().binary, image]
        line += [*prefix[1:], interpreter().binary] if prefix else []
        pipe = subprocess.PIPE
        command = ["docker", *line, *FLAGS, *argv]
        try:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        except OSError as error:
            raise SandboxError(f"cannot start docker: {error.strerror}") from None
        kills = functools.partial(_oom_killed, name)

        def close() -> None:
            subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True, timeout=60)
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

        applied = (limits.mem_mb, limits.processes)

        def resize(new: Limits) -> None:
            nonlocal applied
            if (new.mem_mb, new.processes) == applied:
                return
            size = f"{new.mem_mb + SERVER_MB}m"
            tasks = str(self._tasks(new))
            try:
                _docker("update", "--memory", size, "--memory-swap", size, "--pids-limit", tasks, name)
            except SandboxError as error:
                raise OSError(str(error)) from None
            applied = (new.mem_mb, new.processes)

        return Started(process, close, kills if prefix else lambda: 0, resize)


def _oom_killed(name: str) -> int:
    """1 when the kernel killed in a container that still exists. A removed one no longer says."""
    try:
        return int(_docker("inspect", "--format", "{{.State.OOMKilled}}", name).strip() == "true")
    except SandboxError:
        return 0


def _docker(*words: str) -> str:
    try:
        done = subprocess.run(
            ["docker", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise SandboxError("there is no `docker` command") from None
    except subprocess.TimeoutExpired:
        raise SandboxError("the Docker daemon does not answer") from None
    if done.returncode:
        raise SandboxError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout

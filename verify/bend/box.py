"""The bubblewrap box that Bend runs in: its own user, pid, mount, network, ipc and uts namespaces.

Inside there are the host's libraries (read-only), the Bend binaries, a tmpfs to work in and nothing else: no
network, no home, no environment. Without a usable bubblewrap the caller runs unboxed and the verdict says so;
`run-rs` and the worker execute no IO, `run-c` and `run-cu` do and are refused then.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence

from verify.bubblewrap import find
from verify.sandbox import SandboxError

SCRATCH = "/scratch"
_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")
_GPU_DEVICES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


@functools.cache
def bwrap(*, proc: bool = False) -> str | None:
    """Path of a bubblewrap that can make namespaces here (the system's, else the wheel's), or None.

    proc: it must also be able to mount `/proc`, which some containers forbid. Bend reads its stack bounds
    there.
    """
    try:
        path = find()
        done = subprocess.run(
            [path, *_namespaces(), *_system((), proc=proc), "/usr/bin/true"],
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (SandboxError, OSError, subprocess.TimeoutExpired):
        return None
    return path if done.returncode == 0 else None


def wrap(
    argv: Sequence[str],
    *,
    read_only: Mapping[str, str],
    env: Mapping[str, str],
    scratch_mb: int = 64,
    proc: bool = False,
    gpu: bool = False,
) -> list[str] | None:
    """`argv` inside the box, or None when there is no bubblewrap.

    read_only: host path -> path inside. The command starts in an empty tmpfs of `scratch_mb`. gpu: pass the
    NVIDIA devices through as well.
    """
    path = bwrap(proc=proc)
    if path is None:
        return None
    command = [path, *_namespaces(), *_system(_GPU_DEVICES if gpu else (), proc=proc)]
    for outside, inside in read_only.items():
        command += ["--ro-bind", outside, inside]
    command += ["--size", str(scratch_mb << 20), "--tmpfs", SCRATCH, "--chdir", SCRATCH]
    for name, value in env.items():
        command += ["--setenv", name, value]
    return [*command, "--", *argv]


def _namespaces() -> list[str]:
    return ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]


def _system(devices: Sequence[str], *, proc: bool) -> list[str]:
    command: list[str] = []
    for path in _LIBRARIES:
        command += ["--ro-bind-try", path, path]
    if proc:
        command += ["--proc", "/proc"]
    if devices:
        command += ["--dev", "/dev", "--ro-bind-try", "/sys", "/sys"]
        for device in devices:
            command += ["--dev-bind-try", device, device]
    return command

"""The sandboxes by name, and which of them is used where nobody names one."""

from __future__ import annotations

import dataclasses

from verify.sandbox import Probe, Sandbox

BACKENDS = ("bubblewrap", "docker", "subprocess")


def make_sandbox(backend: str, unsafe: bool = False) -> Sandbox:
    """The backend by name. Raises ValueError for an unknown name, and for `subprocess` without `unsafe`."""
    if backend == "bubblewrap":
        from verify.bubblewrap import Bubblewrap

        return Bubblewrap()
    if backend == "docker":
        from verify.docker import Docker

        return Docker()
    if backend == "subprocess":
        if not unsafe:
            raise ValueError("the subprocess backend is no sandbox: it needs --unsafe (unsafe=True)")
        from verify.unsafe import Subprocess

        return Subprocess()
    raise ValueError(f"unknown backend {backend!r}: one of auto, {', '.join(BACKENDS)}")


def choose(backend: str, unsafe: bool) -> tuple[Sandbox | None, Probe]:
    """The sandbox to use, or None and why. `auto` is bubblewrap, else docker, else (only if unsafe)
    subprocess.
    """
    names = ["bubblewrap", "docker", *(["subprocess"] if unsafe else [])] if backend == "auto" else [backend]
    reasons = []
    probe = Probe(backend, False, "no backend")
    for name in names:
        sandbox = make_sandbox(name, unsafe)
        probe = sandbox.probe()
        if probe.works:
            return sandbox, probe
        reasons.append(f"{name}: {probe.why}" + (f"; {probe.remedy}" if probe.remedy else ""))
        sandbox.close()
    return None, dataclasses.replace(probe, name=backend, why=" | ".join(reasons))

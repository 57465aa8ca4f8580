"""Builds Bend 1, HVM2 and the worker into `$TRIHEAD_HOME/bend`.

`bend` and `hvm` come from crates.io at exact versions with their own lock files (`cargo install --locked`);
the worker is compiled from the sources beside this package. HVM's build script compiles its CUDA runtime as
soon as an `nvcc` is on PATH, and fails when that fails, so nvcc is hidden unless `gpu` asks for it. HVM
fixes its number of
threads at build time: build on the machine that runs it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from verify.bend import toolchain
from verify.bend.toolchain import BEND_VERSION, HVM_VERSION, WORKER

SOURCES = Path(__file__).resolve().parent.parent / "bend_worker"
_RUSTUP = "https://rustup.rs"


class InstallError(Exception):
    """One line saying what is missing or failed and how to mend it."""


def install_bend(*, gpu: bool = False, force: bool = False, progress: bool = True) -> dict[str, Any]:
    """Build what is missing; return what is there. Raises InstallError.

    Safe to repeat: a part that is there, works and was built from the same version and options is left alone.
    """
    folder = toolchain.home()
    cargo = _needs(folder)
    try:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallError(
            f"cannot make {folder}: {error.strerror}; set TRIHEAD_HOME to a writable folder"
        ) from error
    env = _environment(gpu=gpu)
    steps: list[tuple[str, str, Callable[[], None]]] = [
        ("hvm", f"hvm {HVM_VERSION} gpu={gpu}", lambda: _crate(cargo, folder, env, f"hvm@{HVM_VERSION}")),
        (
            "bend",
            f"bend-lang {BEND_VERSION}",
            lambda: _crate(cargo, folder, env, f"bend-lang@{BEND_VERSION}"),
        ),
        (WORKER, f"worker {source_hash()}", lambda: _worker(cargo, folder, env)),
    ]
    built = []
    with _Progress(len(steps), enabled=progress) as bar:
        for name, stamp, build in steps:
            bar.start(name)
            marker = folder / f"{name}.built"
            there = (folder / "bin" / name).is_file() and marker.is_file() and marker.read_text() == stamp
            if force or not there:
                build()
                marker.write_text(stamp)
                built.append(name)
            bar.finish()
    try:
        version = toolchain.toolchain().version
    except toolchain.Unavailable as error:
        raise InstallError(f"the build went through, but {error.why}") from None
    return {"folder": str(folder), "version": version, "built": built}


def source_hash() -> str:
    """Identity of the worker's sources; part of what decides whether it has to be rebuilt."""
    digest = hashlib.sha256()
    for path in sorted([SOURCES / "Cargo.toml", *SOURCES.glob("src/*")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _needs(folder: Path) -> str:
    cargo = shutil.which("cargo") or shutil.which(str(Path.home() / ".cargo" / "bin" / "cargo"))
    if cargo is None:
        raise InstallError(f"cargo is missing; install Rust 1.74 or newer ({_RUSTUP}), then run this again")
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        raise InstallError(
            "no C compiler (cc); install gcc or clang, for example `apt-get install gcc libc6-dev`"
        )
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(existing).free < 1 << 30:
        raise InstallError(f"less than 1 GB free on {existing}; the build needs about that much")
    return cargo


def _environment(*, gpu: bool) -> dict[str, str]:
    env = dict(os.environ)
    if gpu:
        if shutil.which("nvcc") is None:
            raise InstallError("--gpu needs nvcc on PATH (CUDA toolkit 12 or newer)")
        # HVM passes no -arch, and a PTX build is compiled again at every first start on a newer GPU.
        env.setdefault("NVCC_APPEND_FLAGS", "-arch=native")
        return env
    folders = env.get("PATH", "").split(os.pathsep)
    env["PATH"] = os.pathsep.join(path for path in folders if not (Path(path) / "nvcc").exists())
    return env


def _crate(cargo: str, folder: Path, env: dict[str, str], spec: str) -> None:
    _cargo([cargo, "install", "--locked", "--force", "--root", str(folder), spec], folder, env, spec)


def _worker(cargo: str, folder: Path, env: dict[str, str]) -> None:
    target = Path(env.get("CARGO_TARGET_DIR") or folder / "target")
    command = [
        cargo,
        "build",
        "--release",
        "--manifest-path",
        str(SOURCES / "Cargo.toml"),
        "--target-dir",
        str(target),
    ]
    _cargo(command, folder, env, "the worker")
    fresh = folder / "bin" / f"{WORKER}.new"
    shutil.copy2(target / "release" / WORKER, fresh)
    fresh.replace(folder / "bin" / WORKER)
    if target == folder / "target":
        shutil.rmtree(target, ignore_errors=True)


def _cargo(command: list[str], folder: Path, env: dict[str, str], what: str) -> None:
    log = folder / "build.log"
    with log.open("ab") as sink:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, check=False
        )
    if done.returncode:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.startswith("error")]
        why = lines[-1] if lines else f"cargo exited with {done.returncode}"
        raise InstallError(f"building {what} failed: {why}; the whole log is {log}")


class _Progress:
    """A bar on stderr, one step a crate; nothing when disabled."""

    def __init__(self, total: int, *, enabled: bool) -> None:
        self._total = total
        self._enabled = enabled

    def __enter__(self) -> _Progress:
        if self._enabled:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TimeElapsedColumn(),
                console=Console(file=sys.stderr),
            )
            self._bar.start()
            self._task = self._bar.add_task("building", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._enabled:
            self._bar.stop()

    def start(self, name: str) -> None:
        if self._enabled:
            self._bar.update(self._task, description=f"building {name} (minutes)")

    def finish(self) -> None:
        if self._enabled:
            self._bar.advance(self._task)

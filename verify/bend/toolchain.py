"""Where `bend`, `hvm` and the worker are, and what they turn out to be.

`verify install bend` puts them into `$TRIHEAD_HOME/bend/bin`; else `bend` and `hvm` on PATH are used. The
two must be Bend 1 (`bend-lang 0.2.x`) and HVM2 (`hvm 2.0.x`): Bend 2 installs a `bend` as well and is
another language.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

BEND_VERSION = "0.2.38"
HVM_VERSION = "2.0.22"
WORKER = "trihead-bend-worker"
INSTALL = "verify install bend"
_BEND1 = re.compile(r"^bend-lang 0\.2\.\d+$")
_HVM2 = re.compile(r"^hvm 2\.0\.\d+$")


class Unavailable(Exception):
    """The toolchain cannot be used here; the message says why, `remedy` what to do."""

    def __init__(self, why: str, remedy: str = f"run `{INSTALL}`") -> None:
        super().__init__(f"{why}; {remedy}")
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Absolute paths and versions of a working Bend 1 with HVM2."""

    bend: Path
    hvm: Path
    bend_version: str
    hvm_version: str

    @property
    def version(self) -> str:
        return f"{self.bend_version}, {self.hvm_version}"


def home() -> Path:
    """Our own install folder, `$TRIHEAD_HOME/bend`."""
    root = os.environ.get("TRIHEAD_HOME")
    if root:
        return Path(root).expanduser() / "bend"
    import platformdirs

    return Path(platformdirs.user_data_dir("trihead")) / "bend"


def find(name: str) -> Path | None:
    """Path of `name` in our folder, else on PATH."""
    own = home() / "bin" / name
    if own.is_file() and os.access(own, os.X_OK):
        return own.resolve()
    found = shutil.which(name)
    return Path(found).resolve() if found else None


def toolchain() -> Toolchain:
    """The toolchain in use. Raises Unavailable."""
    bend, hvm = find("bend"), find("hvm")
    if bend is None or hvm is None:
        missing = " and ".join(name for name, path in (("bend", bend), ("hvm", hvm)) if path is None)
        raise Unavailable(f"{missing} not found in {home() / 'bin'} or on PATH")
    return _checked(bend, hvm, bend.stat().st_mtime_ns, hvm.stat().st_mtime_ns)


def worker() -> Path:
    """The worker's binary. Raises Unavailable."""
    path = find(WORKER)
    if path is None:
        raise Unavailable(f"the worker is not built ({WORKER} is not in {home() / 'bin'})")
    return path


@functools.lru_cache(maxsize=8)
def _checked(bend: Path, hvm: Path, _bend_mtime: int, _hvm_mtime: int) -> Toolchain:
    bend_version, hvm_version = _version(bend), _version(hvm)
    if not _BEND1.match(bend_version):
        raise Unavailable(
            f"{bend} is not Bend 1 (bend-lang 0.2.x), it answers {bend_version[:60]!r}: Bend 2 is another "
            "language, with its own runtime, and is not supported",
        )
    if not _HVM2.match(hvm_version):
        raise Unavailable(f"{hvm} is not HVM2 (hvm 2.0.x), it answers {hvm_version[:60]!r}")
    return Toolchain(bend, hvm, bend_version, hvm_version)


def _version(path: Path) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            timeout=5,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": str(path.parent), "BEND_NO_TELEMETRY": "1"},
        )
    except subprocess.TimeoutExpired:
        return "nothing within 5 s"
    except OSError as error:
        return f"error: {error.strerror}"
    text = (done.stdout or done.stderr).decode("utf-8", "replace").strip()
    return text.splitlines()[0] if text else f"nothing (exit code {done.returncode})"

"""Which Python runs candidates: the real binary behind the running one, and the folders it needs.

`$TRIHEAD_PYTHON` names another. A virtual environment's or a version manager's launcher is resolved to the
binary itself: a shim costs 150 ms a start, and its folder need not be readable in a sandbox.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass

from verify.sandbox import SandboxError

# No -I: it would ignore PYTHONHASHSEED, and a set's order must not change a verdict. The environment is ours
# anyway.
FLAGS = ("-s", "-P", "-S", "-u")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`binary` runs candidates; `folders` must be readable for it; `site` holds the installed packages."""

    binary: str
    folders: tuple[str, ...]
    site: tuple[str, ...]


@functools.cache
def interpreter() -> Interpreter:
    """Raises SandboxError when `$TRIHEAD_PYTHON` is no Python 3.11 or newer."""
    site = tuple(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
    chosen = os.environ.get("TRIHEAD_PYTHON")
    if not chosen:
        binary = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        return Interpreter(binary, _folders(sys.base_prefix, sys.base_exec_prefix), site)
    script = (
        "import sys; print(sys.version_info >= (3, 11), sys.base_prefix, sys.base_exec_prefix, sep='\\n')"
    )
    try:
        done = subprocess.run(
            [chosen, "-I", "-S", "-c", script], check=False, capture_output=True, text=True, timeout=20
        )
        fits, prefix, exec_prefix = done.stdout.split("\n")[:3]
    except (OSError, ValueError, subprocess.SubprocessError):
        fits, prefix, exec_prefix = "", "", ""
    if fits != "True":
        raise SandboxError(
            f"TRIHEAD_PYTHON={chosen} is not a Python of 3.11 or newer; unset it or name another"
        )
    return Interpreter(os.path.realpath(chosen), _folders(prefix, exec_prefix), site)


def _folders(*prefixes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.realpath(prefix) for prefix in prefixes))

"""For all tests: Bend stays in reach when a test moves the data folder it was installed into."""

from __future__ import annotations

import os

from verify.bend import toolchain

_BEND = toolchain.find("bend")
if _BEND is not None:
    os.environ["PATH"] = f"{_BEND.parent}{os.pathsep}{os.environ['PATH']}"

"""For all tests: Bend stays in reach when a test moves the data folder it was installed into, and no example
of a property is late (a deadline fails on a loaded machine).
"""

from __future__ import annotations

import os

from hypothesis import settings

from verify.bend import toolchain

_BEND = toolchain.find("bend")
if _BEND is not None:
    os.environ["PATH"] = f"{_BEND.parent}{os.pathsep}{os.environ['PATH']}"

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

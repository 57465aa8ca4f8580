"""Start a process that outlives the thread which asks for it.

bubblewrap's `--die-with-parent` (PR_SET_PDEATHSIG, see prctl(2)) kills when the *thread* that started the
process ends. A server started by a thread of a pool would go down with that pool, in the middle of the next
check. So one thread, which lives as long as this process, starts them all.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Starter:
    """The thread; it begins with the first process."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """A thread of our own: in a forked child the parent's stayed behind."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verify-starter")

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """`subprocess.Popen(command, **options)`, with its errors."""

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, **options)

        return self._thread.submit(start).result()


popen = Starter().popen

"""Make docs/tui.png: the app after the default model has solved a task. Needs its weights, and Chromium.

python docs/picture.py [TASK]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tui.app import TriheadApp
from tui.session import Settings
from tui.widgets.notes import DoneBlock
from tui.worker import Worker

TASK = "Write slugify(title). slugify('Big Bad Wolf') == 'big-bad-wolf'"
SIZE = (110, 36)
PICTURE = Path(__file__).parent / "tui.png"


async def drawn(app: TriheadApp, task: str) -> str:
    """The screen at the end of `task`, as SVG."""
    async with app.run_test(size=SIZE) as pilot:
        app.main.prompt.area.insert(task)
        await pilot.press("enter")
        while not app.screen.query(DoneBlock):
            await pilot.pause(0.2)
        await pilot.pause(1)
        return app.export_screenshot(title="Trihead")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        with contextlib.closing(Worker(Settings("default", "auto", folder))) as worker:
            worker.start()
            os.environ["HOME"] = scratch  # here only: the folder's name in the picture shall be ~/project
            svg = asyncio.run(drawn(TriheadApp(worker, live=True), " ".join(sys.argv[1:]) or TASK))
        page = Path(scratch) / "screen.svg"
        page.write_text(svg)
        found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
        assert found is not None
        size = ",".join(str(round(float(side))) for side in found.groups())
        chromium = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}"]
        command = [*chromium, f"--screenshot={PICTURE}", page.as_uri()]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

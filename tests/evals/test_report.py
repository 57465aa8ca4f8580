"""The HTML page: self-contained, safe, and, where Chromium is installed, drawn and measured in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evals.benchmark import Outcome, Scored, open_benchmark
from evals.report.page import render
from evals.report.table import safe
from evals.run import make_config
from evals.rundir import SAMPLES, TIMING, VERDICTS, RunFolder, RunWriter
from evals.sample import Sample, verdict_row
from evals.settings import Settings
from verify.verdict import Status

CHROMIUM = shutil.which("chromium")
EVIL = (
    "</script><script>document.title='pwned'</script>"
    "<img src=x onerror=\"document.title='pwned'\">\x1b[31m\u202e"
)


def write_run(path: Path, per_task: int, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of 164 tasks with `per_task` samples; every third fails, and all of them hold hostile text."""
    monkeypatch.setattr("os.fdatasync", lambda descriptor: None)
    benchmark = open_benchmark("humaneval")
    tasks = list(benchmark.tasks.values())
    settings = Settings("humaneval", f"<b>{EVIL}", n=per_task, temperature=0.8, decode="verified")
    config = make_config(benchmark, settings, {"name": EVIL}, tasks)
    prompts = {task.id: task.prompt for task in tasks}
    with RunWriter(path, config, resume=False, prompts=prompts) as writer:
        for number, task in enumerate(tasks):
            for i in range(per_task):
                steps = tuple(j // 3 for j in range(150))
                sample = Sample(task.id, i, task.reference, EVIL, 100, 150, 50, "stop", commit_step=steps)
                status = Status.FAILED if (number + i) % 3 == 0 else Status.PASSED
                writer.append(SAMPLES, sample.to_row())
                writer.append(TIMING, {"task_id": task.id, "sample": i, "wall_s": 2.0, "ttft_s": 0.2})
                scored = Scored(Outcome(status, 1, 7, (), EVIL))
                writer.append(VERDICTS, verdict_row(task.id, i, scored))
    return RunFolder(path)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_hostile_text_stays_text_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "run", 1, monkeypatch)
    page = render(folder, {"HumanEval/0": EVIL})
    tags = Tags()
    tags.feed(page)
    assert [tag for tag, _ in tags.seen].count("script") == 2
    assert not any(tag in ("img", "iframe", "link", "b") for tag, _ in tags.seen)
    assert not any({"src", "href"} & attributes.keys() for _, attributes in tags.seen)
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    assert data["samples"][0]["raw"] == EVIL
    assert data["prompts"]["HumanEval/0"] == EVIL
    assert data["summary"]["n_samples"] == 164


def test_terminal_text_is_one_line_without_control_sequences() -> None:
    text = safe(f"a\nb\t{EVIL}[red]markup[/red]" + "x" * 500)
    assert "\x1b" not in text.plain
    assert "\u202e" not in text.plain
    assert "\n" not in text.plain
    assert "[red]markup[/red]" in text.plain
    assert len(text.plain) == 200


def chromium(page: Path, scratch: Path, *flags: str) -> str:
    line = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={scratch / 'profile'}", *flags, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=True).stdout


PROBE = """<script>
const frame = document.createElement("iframe");
frame.style = "width:WIDTHpx;height:900px;border:0";
frame.onload = () => {
  const inner = frame.contentDocument, page = inner.documentElement;
  const rows = inner.querySelectorAll(".row").length;
  if (inner.querySelector(".row")) inner.querySelector(".row").click();
  const out = { ready: page.dataset.ready, title: inner.title, rows,
    overflow: page.scrollWidth - frame.clientWidth,
    detail: getComputedStyle(inner.getElementById("detail")).display,
    cells: inner.querySelectorAll("#canvas i").length,
    plots: inner.querySelectorAll(".plot svg").length,
    series: [...inner.querySelectorAll(".plot .series")].map((p) => p.textContent),
    points: inner.querySelectorAll(".plot circle").length, count: inner.getElementById("count").textContent };
  document.body.textContent = JSON.stringify(out);
};
frame.src = "report.html";
document.body.append(frame);
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    folder = write_run(tmp_path / "run", 13, monkeypatch)
    curves = [
        {"benchmark": "humaneval", "series": f"diffusion, block {block}", "aup": 50.0, "points": [
            {"rho": rho, "accuracy": 60 - rho, "threshold": 0.5} for rho in (2, 3, 4)]}
        for block in (8, 16)
    ] + [{"benchmark": "humaneval", "series": "ar", "aup": None, "points": [
        {"rho": 1.0, "accuracy": 61, "threshold": None}]}]  # fmt: skip
    (tmp_path / "report.html").write_text(render(folder, {}, curves))
    probe = tmp_path / "probe.html"
    probe.write_text(f"<body>{PROBE.replace('WIDTH', str(width))}</body>")
    flags = (
        "--allow-file-access-from-files",
        "--virtual-time-budget=20000",
        "--window-size=1300,1000",
        "--dump-dom",
    )
    dom = chromium(probe, tmp_path, *flags)
    found = json.loads(re.search(r"<body>(\{.*\})</body>", dom, re.DOTALL)[1])  # type: ignore[index]  # None fails the test
    assert found["ready"] == "true"
    assert found["title"].startswith("HumanEval: ")
    assert found["overflow"] <= 0
    assert found["count"] == "2,132 of 2,132"
    # Only the rows in view are drawn; the clicked sample shows its decoding, one cell a token.
    assert 5 < found["rows"] < 80
    assert found["cells"] == 150
    assert found["detail"] == "block"
    assert found["plots"] >= 6
    # One picture of a benchmark, whatever the series in it.
    named = [f"diffusion, block {block}: AUP 50.0" for block in (8, 16)]
    assert (found["series"], found["points"]) == ([*named, "ar"], 7)

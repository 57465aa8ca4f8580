"""Runs on the plane of accuracy and parallelism: which make a line, which a point, and the picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.curve import Point, aup
from evals.errors import UsageError
from evals.report.curve_plot import labels
from evals.series import Judged, series
from evals.settings import Settings
from model.rules import LENIENCE, WINDOW
from tests.evals.conftest import SCRIPT


def run(decode: Any, rho: float, accuracy: float, **more: Any) -> Judged:
    settings = Settings("humaneval", "m", decode, **more)
    return Judged(Path("r"), "humaneval", settings.to_dict(), 10, rho, accuracy, accuracy - 5, accuracy + 5)


def test_thresholds_make_a_line_and_blocks_are_lines_of_their_own() -> None:
    runs = [
        run("diffusion", 4, 40, block=16, threshold=0.5),
        run("ar", 1, 60),
        run("diffusion", 2, 58, block=16, threshold=0.9),
        run("diffusion", 3, 57, block=32, threshold=0.9),
        run("lookup", 2.5, 60),
    ]
    found = series(runs)
    assert [one.label for one in found] == ["diffusion, block 16", "diffusion, block 32", "ar", "lookup"]
    assert [one.line for one in found] == [True, True, False, False]
    assert [r.mark for r in found[0].runs] == ["0.9", "0.5"]
    # The best accuracy of all methods is the reference, as in the paper.
    assert found[0].area == pytest.approx(aup([Point(2, 58), Point(4, 40)], best=60))
    assert found[2].area is None


def test_settings_that_a_line_cannot_join_are_told() -> None:
    runs = [
        run("diffusion", 4, 40, window=0, top_p=0.9),
        run("diffusion", 3, 50, window=3, top_p=0.9),
        run("diffusion", 3, 50, window=3),
        run("verified", 3, 50, block=8),
        run("verified", 3, 50),
    ]
    assert {one.label for one in series(runs)} == {
        "diffusion, window 0, top_p 0.9",
        "diffusion, window 3, top_p 0.9",
        "diffusion, window 3, top_p 0.95",
        "verified, block 8, top_p 0.95",
        "verified, top_p 0.95",
    }


def test_a_setting_that_did_not_exist_then_was_not_given() -> None:
    old, new = run("diffusion", 4, 40, threshold=0.1), run("diffusion", 3, 50, threshold=0.5)
    del old.settings["window"]
    assert len(series([old, new])) == 1


def test_runs_of_two_benchmarks_are_no_curve() -> None:
    other = Judged(Path("r"), "mbpp", Settings("mbpp", "m").to_dict(), 10, 1.0, 50, 40, 60)
    with pytest.raises(UsageError, match="humaneval and mbpp"):
        series([run("ar", 1, 60), other])


def test_two_sweeps_cross_and_the_curve_is_drawn(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([SCRIPT[1]] * 4))
    args = ("run", "humaneval", "--model", f"scripted:{script}", "--limit", 1, "--json")
    sweep = tmp_path / "sweep"
    done = evals(*args, "--decode", "diffusion", "--sweep", "block=8,16", "--sweep", "threshold=0.5,0.9",
                 "--out", sweep)  # fmt: skip
    assert done.code == 0
    wanted = [f"block={b},threshold={t}" for b in (8, 16) for t in (0.5, 0.9)]
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(line["run_dir"]).name for line in lines[:4]] == wanted
    curves = [line["curve"] for line in lines[4:]]
    assert [len(one["points"]) for one in curves] == [2, 2]  # a curve a block
    for decode in ("ar", "lookup"):
        assert evals(*args, "--decode", decode, "--out", tmp_path / decode).code == 0
    paths = (sweep, tmp_path / "ar", tmp_path / "lookup")
    picture = tmp_path / "c.png"
    drawn = evals("curve", *paths, "-o", picture)
    assert drawn.code == 0
    assert "diffusion, block 16: AUP" in drawn.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [json.loads(line) for line in evals("curve", *paths, "--json").out.splitlines()]
    assert [row["series"] for row in rows] == ["diffusion, block 16", "diffusion, block 8", "ar", "lookup"]
    assert [point["threshold"] for point in rows[0]["points"]] == [0.5, 0.9]
    # A sweep's end and `evals curve` group runs alike; the best accuracy is that of all runs shown.
    assert [{**one, "aup": None} for one in curves] == [
        {"benchmark": "humaneval", **row, "aup": None} for row in rows[:2]
    ]


def test_a_run_is_grouped_by_the_rules_it_went_by(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([SCRIPT[1]]))
    args = ("run", "humaneval", "--model", f"scripted:{script}", "--limit", 1, "--decode", "diffusion")
    for name, words in (("default", ()), ("given", ("--threshold", 0.5, "--window", WINDOW))):
        assert evals(*args, *words, "--out", tmp_path / "runs" / name).code == 0
    (row,) = [json.loads(line) for line in evals("curve", tmp_path / "runs", "--json").out.splitlines()]
    assert sorted(point["threshold"] for point in row["points"]) == [LENIENCE, 0.5]
    config = tmp_path / "runs" / "default" / "config.json"
    written = json.loads(config.read_text())
    written["model"]["rules"] = {"commit": "prefix", "threshold": 0.9}
    config.write_text(json.dumps(written))
    rows = [json.loads(line) for line in evals("curve", tmp_path / "runs", "--json").out.splitlines()]
    assert {row["series"] for row in rows} == {
        f"diffusion, commit lenient, window {WINDOW}",
        "diffusion, commit prefix",
    }


def test_what_is_not_judged_is_left_out_with_a_line(evals: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([SCRIPT[1]]))
    evals("run", "humaneval", "--model", f"scripted:{script}", "--limit", 1, "--out", tmp_path / "r",
          "--no-score")  # fmt: skip
    done = evals("curve", tmp_path / "r", "-o", tmp_path / "c.png")
    assert done.code == 2
    assert "no verdict yet" in done.err
    assert evals("curve", tmp_path / "nothing").code == 2


def test_points_that_lie_together_share_a_label() -> None:
    points = [(0.9, 2.0, 60), (0.8, 2.0, 60), (0.7, 2.05, 59), (0.6, 2.06, 40), (0.5, 4.0, 40)]
    runs = [run("diffusion", rho, accuracy, threshold=t) for t, rho, accuracy in points]
    assert labels(runs, 4.0) == [(2.0, 60, "0.9, 0.8, 0.7"), (2.06, 40, "0.6"), (4.0, 40, "0.5")]

"""configs/finetune-round.sh: which environment variable says what, alike in all scripts of configs/."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from agent.headstore import HeadStore

ROOT = Path(__file__).parents[3]
FIGURES = {
    "pass@1": [0.5, 0.4, 0.6],
    "steps_per_task": [9.0, 8.0, 10.0],
    "tokens_per_task": 20.0,
    "tokens_per_forward": 2.2,
    "tokens_per_s": 100.0,
}
REPORT = {
    "round": 1,
    "selection": {"kept": ["a"], "kept_tasks": 1, "dropped": {}, "refused": {}},
    "rows": {"new": 1, "replayed": 0},
    "evaluation": {
        "tasks": 8,
        "old": FIGURES,
        "new": FIGURES,
        "pass_difference": [0.0, 0.0, 0.0],
        "steps_change": [0.0, 0.0, 0.0],
        "both_solved": 4,
        "won": [],
        "lost": [],
        "p_mcnemar": 1.0,
    },
    "drift": {"kl": 0.01},
    "promoted": False,
    "why": "no difference",
}


def test_base_is_the_base_and_model_another_scripts_command(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "configs").mkdir(parents=True)
    shutil.copy(ROOT / "configs/finetune-round.sh", checkout / "configs")
    (checkout / "runs/finetune/tasks").mkdir(parents=True)
    (checkout / "runs/finetune/tasks/card.md").write_text("card")
    made = tmp_path / "made"
    made.mkdir()
    (made / "heads.json").write_text("{}")
    HeadStore("some-base").add(made, {"report": REPORT})
    settings = {
        "PYTHONPATH": str(ROOT),
        "AGENT": f"{sys.executable} -m agent.cli",
        "MODEL": ".offline/bin/model",
        "BASE": "some-base",
    }
    done = subprocess.run(
        ["bash", "configs/finetune-round.sh", "report"],
        cwd=checkout,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "version 1: not promoted" in done.stdout
    report = checkout / "runs/finetune/report"
    assert json.loads((report / "report.json").read_text())["version"] == 1
    assert (report / "v0001/heads.json").is_file()

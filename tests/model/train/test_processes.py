"""A run shared by two processes is the run of one, and goes on where any number of them stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from model.train.config import TrainConfig
from model.train.onpolicy.learner import OnPolicy
from model.train.processes import Processes
from model.train.reading import ConfigError
from model.train.trainer import Trainer
from tests.model.train.toy import COMMENT, judged

Make = Callable[..., TrainConfig]


def launch(config: TrainConfig, run: Path, world: int) -> list[subprocess.Popen[str]]:
    """`model train` on `world` gloo processes, as torchrun starts them."""
    path = run.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config.as_dict()))))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(world):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        if world > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "model.cli", "train", str(path), "--json", "--run", str(run)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                text=True,
            )
        )
    return started


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    ends = [process.communicate(timeout=240) for process in processes]
    return [(p.returncode, out, err) for p, (out, err) in zip(processes, ends, strict=True)]


def curve(run: Path) -> dict[str, list[float]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    names = ("step", "loss", "token", "kl", "right", "refined_token", "length", "grad_norm")
    return {name: [float(r[name]) for r in records] for name in names}


ORDER = {"block_size": [8, 16], "stage1_steps": 4, "stage2_steps": 8, "constrained_order": True}


def same(run: Path, other: Path) -> None:
    mine, theirs = curve(run), curve(other)
    assert mine["step"] == theirs["step"]
    for name, values in mine.items():
        torch.testing.assert_close(theirs[name], values, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("way", ["ddp", "fsdp2"])
def test_two_processes_are_one(make_config: Make, tmp_path: Path, way: str) -> None:
    """Losses step by step, with accumulation and order noise. One process goes on from the checkpoint of two
    (DDP), and two from that of one (FSDP2)."""
    changes: dict[str, Any] = {"seed_diffusion": ORDER, "objectives": {"order": 0.3}}
    training = {"gradient_accumulation_steps": 2, "distributed": way}
    one = make_config(**changes, training={**training, "distributed": "auto"})
    Trainer(one, tmp_path / "one").fit()
    if way == "fsdp2":
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        shutil.rmtree(tmp_path / "two" / "checkpoints" / "step-0000012")  # as if killed after step 8
    ends = finish(launch(make_config(**changes, training=training), tmp_path / "two", 2))
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert ends[1][1] == ""  # the second process prints nothing
    same(tmp_path / "one", tmp_path / "two")
    if way == "ddp":
        shutil.rmtree(tmp_path / "two" / "checkpoints" / "step-0000012")
        back = Trainer(one, tmp_path / "two")
        assert back.resume()
        assert back.step == 8
        back.fit()
        same(tmp_path / "one", tmp_path / "two")


def test_rollouts_are_made_once_and_shared(tmp_path: Path) -> None:
    """The second process's row holds rollouts, the first's none; the curve is that of one process."""
    config = judged(tmp_path, 5, "surrogate", task=COMMENT, temperature=2.0, rate=1e-3, every=100)
    Trainer(config, tmp_path / "one").fit()
    ends = finish(launch(config, tmp_path / "two", 2))
    assert [code for code, _, _ in ends] == [0, 0], ends
    rounds = [tmp_path / run / "rollouts" / "step-0000001.jsonl" for run in ("one", "two")]
    assert rounds[0].read_text() == rounds[1].read_text()
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("one", "two")]
    for mine, theirs in zip(*([json.loads(line) for line in log] for log in logs), strict=True):
        for name in ("loss", "on_policy", "rollout_solved", "grad_norm"):
            assert theirs.get(name) == pytest.approx(mine.get(name), rel=2e-3, abs=2e-4), name
    assert any(json.loads(line).get("on_policy") for line in logs[0])


def test_rollouts_of_shards_are_refused(tmp_path: Path) -> None:
    config = judged(tmp_path, 5, "surrogate")
    sharded = replace(config, training=replace(config.training, distributed="fsdp2"))
    processes = Processes(0, 1, torch.device("cpu"))
    processes.world = 2
    with pytest.raises(ConfigError, match="rollouts need the whole base in one process"):
        OnPolicy(sharded, tmp_path, processes)


def test_a_process_that_dies_is_named(make_config: Make, tmp_path: Path) -> None:
    config = make_config(training={"max_steps": 100000})
    processes = launch(config, tmp_path / "run", 2)
    assert processes[0].stdout is not None
    while json.loads(processes[0].stdout.readline())["step"] < 5:
        pass
    processes[1].send_signal(signal.SIGKILL)
    code, _, err = finish(processes)[0]
    assert code == 4
    assert "another process of this run has died" in err
    assert (tmp_path / "run" / "checkpoints" / "step-0000004").is_dir()


def test_what_processes_cannot_share_is_refused(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="fsdp2 shards over several processes"):
        Trainer(make_config(training={"distributed": "fsdp2"}), tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match=r"micro_batch_size 2 .* multiple of 4"):
        Trainer(make_config(), tmp_path)

"""A run that is killed and resumed is the same run; what is on disk is whole at every moment."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from model.errors import ModelError, NumericsError
from model.heads import HeadSet
from model.train import checkpoint
from model.train.config import TrainConfig
from model.train.trainer import Trainer
from tests.model.train.resuming import curve, interrupted

Make = Callable[..., TrainConfig]
# Losses of steps 1 .. 12 of `make_config()` on the CPU in float32: a change here is a change of the
# training itself.
GOLDEN = Path(__file__).with_name("golden_losses.json")


def test_golden_losses(make_config: Make, tmp_path: Path) -> None:
    Trainer(make_config(), tmp_path / "run").fit()
    golden = [tuple(pair) for pair in json.loads(GOLDEN.read_text())]
    found = curve(tmp_path / "run")
    assert [step for step, _ in found] == [step for step, _ in golden]
    torch.testing.assert_close([x for _, x in found], [x for _, x in golden], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stop", [5, 7, 10])
def test_interrupted_run_resumes_on_the_same_curve(make_config: Make, tmp_path: Path, stop: int) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    Trainer(make_config(), whole).fit()
    again = interrupted(make_config(), broken, stop)
    assert again.step == stop // 4 * 4
    again.fit()
    assert curve(broken) == curve(whole)
    for part in ("diffusion_head/adapter_model.safetensors", "extras.safetensors"):
        assert (whole / "heads" / part).read_bytes() == (broken / "heads" / part).read_bytes()


def test_killed_process_resumes(make_config: Make, tmp_path: Path) -> None:
    """SIGKILL after the first records, through the command line; the curve is that of an unbroken run."""
    config = make_config(training={"max_steps": 40})
    path = tmp_path / "run.yaml"
    plain = json.loads(json.dumps(config.as_dict()))
    path.write_text(yaml.safe_dump(plain))
    command = [sys.executable, "-m", "model.cli", "train", str(path), "--json", "--run"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, str(tmp_path / "a")], stdout=subprocess.PIPE, env=env, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["step"] >= 9:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    for name in ("a", "b"):
        done = subprocess.run(
            [*command, str(tmp_path / name)], capture_output=True, env=env, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_leftovers_of_a_killed_save_are_ignored(make_config: Make, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Trainer(make_config(training={"max_steps": 4}), run).fit()
    partial = run / "checkpoints" / f"{checkpoint.PARTIAL}0000008"
    partial.mkdir()
    (partial / "state.pt").write_bytes(b"half")
    trainer = Trainer(make_config(), run)
    assert trainer.resume()
    assert trainer.step == 4
    assert not partial.exists()


def test_full_disk_keeps_the_last_checkpoint(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(make_config(training={"max_steps": 4}), tmp_path)
    trainer.fit()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    trainer.step = 8
    with pytest.raises(checkpoint.CheckpointError, match=r"disk is full.*step-0000004 is intact"):
        trainer.save()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-0000004"]


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good(make_config: Make, tmp_path: Path) -> None:
    def poison(record: dict[str, Any]) -> None:
        if record["step"] == 6:
            with torch.no_grad():
                trainer.heads.mask.fill_(float("nan"))

    trainer = Trainer(make_config(), tmp_path, poison)
    with pytest.raises(NumericsError, match="step-0000004 is the last good checkpoint"):
        trainer.fit()
    state = checkpoint.load(tmp_path / "checkpoints" / "step-0000004", torch.device("cpu"))
    assert all(torch.isfinite(p).all() for p in state["parameters"].values())


def test_another_configuration_is_refused(make_config: Make, tmp_path: Path) -> None:
    Trainer(make_config(training={"max_steps": 4}), tmp_path).fit()
    with pytest.raises(checkpoint.CheckpointError, match="another configuration"):
        Trainer(make_config(objectives={"kl": 0.1}), tmp_path).resume()


def test_longer_run_may_go_on(make_config: Make, tmp_path: Path) -> None:
    Trainer(make_config(training={"max_steps": 4}), tmp_path).fit()
    longer = Trainer(make_config(training={"max_steps": 6}), tmp_path)
    assert longer.resume()
    longer.fit()
    assert longer.step == 6


def test_result_is_a_heads_folder(make_config: Make, tmp_path: Path) -> None:
    trainer = Trainer(make_config(training={"max_steps": 4}), tmp_path)
    trainer.fit()
    loaded = HeadSet.load(
        tmp_path / "heads",
        trainer.base,
        base_sha256=trainer.base_sha256,
        tokenizer_sha256=trainer.tokenizer.sha256,
    )
    torch.testing.assert_close(loaded.mask, trainer.heads.mask)
    assert torch.equal(loaded.draft_vocab, trainer.heads.draft_vocab)


@pytest.mark.parametrize(
    ("training", "advice"),
    [
        ({}, "lower training.micro_batch_size from 2 to 1 and raise gradient_accumulation_steps to 2"),
        ({"micro_batch_size": 1}, "set training.gradient_checkpointing to true"),
        (
            {"micro_batch_size": 1, "gradient_checkpointing": True},
            "lower training.draft_tokens from 64 to 32",
        ),
    ],
)
def test_out_of_memory_says_what_to_lower(
    make_config: Make, tmp_path: Path, training: dict[str, Any], advice: str
) -> None:
    def full(batch: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    trainer = Trainer(make_config(training=training), tmp_path)
    trainer.forward = full  # type: ignore[assignment]
    with pytest.raises(ModelError, match=advice):
        trainer.fit()


def test_a_checkpoint_of_another_base_is_refused(make_config: Make, tmp_path: Path) -> None:
    Trainer(make_config(training={"max_steps": 4}), tmp_path).fit()
    other = Trainer(make_config(training={"max_steps": 4}), tmp_path)
    other.base_sha256 = "0" * 64
    with pytest.raises(checkpoint.CheckpointError, match="trained on another base"):
        other.resume()


def test_a_damaged_checkpoint_is_named(make_config: Make, tmp_path: Path) -> None:
    Trainer(make_config(training={"max_steps": 4}), tmp_path).fit()
    state = tmp_path / "checkpoints" / "step-0000004" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(checkpoint.CheckpointError, match="step-0000004 cannot be read"):
        Trainer(make_config(training={"max_steps": 4}), tmp_path).resume()

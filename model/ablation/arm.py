"""One arm: trained and measured by the commands a person would call, each in a process of its own.

    ArmRun(arm, folder, evaluation).run(device)

    FOLDER/config.yaml   what is trained       FOLDER/run/          the run of `model train`
    FOLDER/train.json    seconds of the clock  FOLDER/log.txt       what the processes said
    FOLDER/acceptance.json, FOLDER/restore.json
    FOLDER/answers/      where training changes what the AR decoder says: its own answers, and their agreement
                         with the base's

A step whose result is there is not done again, and a killed training goes on from its last checkpoint.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from model.ablation.agreement import agreement
from model.ablation.plan import Arm, Evaluation
from model.errors import ModelError
from model.wholefile import write_whole


class ArmError(ModelError):
    """An arm that could not be trained or measured; the message is its command's own last word."""


@dataclass(slots=True)
class ArmRun:
    """on_step hears what begins. Results lie in `folder`."""

    arm: Arm
    folder: Path
    evaluation: Evaluation
    on_step: Callable[[str, str], None] = lambda arm, step: None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)

    def run(self, gpu: str | None) -> None:
        """gpu: what CUDA_VISIBLE_DEVICES is set to (None: left as it is). Raises ArmError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArmError(
                    f"another process is at work in {self.folder}; wait for it or end it"
                ) from error
            # The children hold the lock too: they may outlive a killed parent.
            self._steps(gpu, lock.fileno())

    def stop(self) -> None:
        """End what runs now, and start nothing more."""
        self._stopped.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _steps(self, gpu: str | None, lock: int) -> None:
        config = self.folder / "config.yaml"
        text = yaml.safe_dump(self.arm.raw, sort_keys=False)
        if config.exists() and config.read_text("utf-8") != text:
            raise ArmError(
                f"{self.folder} was trained with another configuration; delete it or give another --out"
            )
        config.write_text(text, "utf-8")
        run = self.folder / "run"
        if not (self.folder / "train.json").exists():
            started = time.monotonic()
            self._command("train", [str(config), "--run", str(run), "--json"], gpu, lock)
            wall = round(time.monotonic() - started, 1)
            write_whole(self.folder / "train.json", json.dumps({"wall_s": wall}))
        measure = self.evaluation
        # Full fine-tuning leaves a base of its own beside its heads.
        base = str(run / "base") if self.arm.config.full_fine_tuning.train else self.arm.config.base
        shared = ["--base", base, "--limit", str(measure.limit), "--json"]
        heads = str(run / "heads")
        if measure.acceptance:
            blocks = [f"--block={size}" for size in measure.block]
            answers = list(measure.acceptance)
            if measure.own_answers or not self.arm.config.frozen_text:
                answers = [self._own_answers(path, base, gpu, lock) for path in answers]
            self._figures("acceptance", [heads, *map(str, answers), *blocks, *shared], gpu, lock)
        if measure.restore:
            sure = [f"--confidence={least}" for least in measure.confidence]
            self._figures("restore", [heads, *map(str, measure.restore), *sure, *shared], gpu, lock)

    def _own_answers(self, asked: Path, base: str, gpu: str | None, lock: int) -> Path:
        """Greedy answers of this arm's own AR decoder to the prompts of `asked`: what its drafts are accepted
        against. Beside them, how many are the base's."""
        from model.data.samples import Samples

        target = self.folder / "answers" / asked.name
        target.parent.mkdir(exist_ok=True)
        theirs = Samples.load(asked)
        theirs.items = theirs.items[: self.evaluation.limit or None]
        if not target.exists():
            command = ["answer", str(asked), f"--out={target}", f"--base={base}", "--greedy-share=1"]
            if self.arm.config.ar_head.train:
                command.append(f"--heads={self.folder / 'run' / 'heads'}")
            command.append(f"--max-tokens={theirs.meta.get('max_tokens', 512)}")
            command += [
                f"--limit={len(theirs)}",
                f"--slots={min(256, len(theirs))}",
                "--no-compile",
                "--json",
            ]
            self._command("data", command, gpu, lock)
        found = json.dumps(agreement(theirs, Samples.load(target)))
        write_whole(target.with_suffix(".json"), found)
        return target

    def _figures(self, command: str, arguments: list[str], gpu: str | None, lock: int) -> None:
        target = self.folder / f"{command}.json"
        if not target.exists():
            write_whole(target, self._command(command, arguments, gpu, lock))

    def _command(self, name: str, arguments: list[str], gpu: str | None, lock: int) -> bytes:
        """Run `model NAME ...`; its output, which goes to the log as well unless it is a result."""
        if self._stopped.is_set():
            raise ArmError("stopped")
        self.on_step(self.arm.name, name)
        log = self.folder / "log.txt"
        environment = os.environ if gpu is None else {**os.environ, "CUDA_VISIBLE_DEVICES": gpu}
        with log.open("ab") as file:
            file.write(f"$ model {name} {' '.join(arguments)}\n".encode())
            file.flush()
            begin = file.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "model.cli", name, *arguments],
                stdout=file if name == "train" else subprocess.PIPE,
                stderr=file,
                env=environment,
                pass_fds=(lock,),
            )
            out, _ = self._process.communicate()
        code = self._process.returncode
        if code < 0:
            raise ArmError(f"model {name} was ended by {signal.Signals(-code).name}; call again to go on")
        if code:
            raise ArmError(_last_word(log, begin) or f"model {name} ended with exit code {code}")
        return out or b""


def _last_word(log: Path, begin: int) -> str:
    """The line that says what went wrong in what a process wrote."""
    lines = log.read_bytes()[begin:].decode("utf-8", "replace").strip().splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (said or lines or [""])[-1].strip()

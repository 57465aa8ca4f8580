"""The rounds of a run: roll out every so many steps, keep the rollouts in the run's folder, hand out rows.

    RUN/rollouts/step-0000200.jsonl     one line an attempt; `.part` while the round goes on

A killed run takes finished tasks of a round from the file, so that its batches are those of an unbroken run.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.data.packages import DataError
from model.train.config import TrainConfig
from model.train.onpolicy import rows
from model.train.onpolicy.pool import Pool
from model.train.onpolicy.rollout import attempt_all
from model.train.onpolicy.trajectory import Rollout
from model.train.packing import Batch
from model.train.reading import ConfigError
from model.train.verifier import Task, Verifier, open_verifier

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer
    from model.train.forward import PackedForward
    from model.train.processes import Processes


class OnPolicy:
    """Opens the verifier and reads the tasks; raises ConfigError, VerifierUnavailable or DataError before
    anything is loaded."""

    def __init__(self, config: TrainConfig, run: Path, processes: Processes) -> None:
        if processes.world > 1 and config.training.distributed == "fsdp2":
            raise ConfigError(
                "seed_diffusion.on_policy_learning: rollouts need the whole base in one process, which "
                "training.distributed: fsdp2 shards; set it to ddp"
            )
        self.config, self.folder, self.processes = config, run / "rollouts", processes
        self.verifier: Verifier = open_verifier(config.seed_diffusion.verifier)
        self.tasks = read_tasks(config.on_policy.tasks, self.verifier)
        plain = json.dumps([config.as_dict()["on_policy"], config.training.seed], sort_keys=True)
        self._identity = hashlib.sha256(plain.encode()).hexdigest()[:16]
        self.pool: Pool | None = None

    def refresh(self, step: int, forward: PackedForward, tokenizer: Tokenizer) -> None:
        """Make sure that the pool is the one of this step of stage 2: roll out when a round is due."""
        due = step // self.config.on_policy.every * self.config.on_policy.every
        if self.pool is not None and self.pool.round >= due:
            return
        known = [n for n in self._rounds() if n <= step]
        number = max(known, default=step)
        if number < due:
            number = step
        # One process decodes for all; the others wait for its file.
        self.processes.wait()
        if self.processes.main:
            self._round(number, forward, tokenizer)
        self.processes.wait()
        made = self._round(number, forward, tokenizer)
        self.pool = Pool.of(number, made, self.verifier.reward, self.config.on_policy.method)

    @property
    def figures(self) -> dict[str, float]:
        """Of the present round, for the log."""
        return {} if self.pool is None else self.pool.figures

    def mix(self, batch: Batch, pool: Pool, step: int, micro: int, mask_id: int) -> Batch:
        """The batch with rollouts in its last rows."""
        settings = self.config.on_policy
        rng = np.random.default_rng([self.config.training.seed, 5, step, micro])
        horizon = self.config.seed_diffusion.order_horizon
        return rows.mix(batch, pool, settings.rows, mask_id, horizon, settings.method, rng)

    def close(self) -> None:
        """Stop the verifier."""
        self.verifier.close()

    def _rounds(self) -> list[int]:
        return sorted(
            int(path.stem.removeprefix("step-"))
            for path in self.folder.glob("step-*.jsonl")
            if _head(path) == self._identity
        )

    def _round(self, number: int, forward: PackedForward, tokenizer: Tokenizer) -> list[Rollout]:
        """The rollouts of a round, from its file as far as that goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / f"step-{number:07d}.jsonl"
        if final.exists() and _head(final) == self._identity:
            return [r for group in _groups(final) for r in group]
        part = final.with_suffix(".part")
        done = _groups(part) if part.exists() and _head(part) == self._identity else []
        seed = self.config.training.seed
        count = min(self.config.on_policy.tasks_per_round, len(self.tasks))
        chosen = np.random.default_rng([seed, 6, number]).permutation(len(self.tasks))[:count].tolist()
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(self._identity) + "\n")
            for place, index in enumerate(chosen):
                if place >= len(done):
                    task = self.tasks[index]
                    done.append(
                        attempt_all(
                            forward, tokenizer, self.verifier, self.config, task, (seed, 7, number, index)
                        )
                    )
                file.write(json.dumps([r.as_row() for r in done[place]]) + "\n")
                file.flush()
        os.replace(part, final)
        return [r for group in done for r in group]


def read_tasks(paths: tuple[Path, ...], verifier: Verifier) -> list[Task]:
    """Raises DataError naming file and line."""
    if not paths:
        raise DataError(
            "on_policy.tasks names no file of tasks with tests; make one with `agent tasks build` "
            "(docs/training.md has the format)"
        )
    tasks: list[Task] = []
    for path in paths:
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"on_policy.tasks: {path} cannot be read ({error})") from error
        for number, line in enumerate(lines, 1):
            where = f"on_policy.tasks: {path}: line {number}"
            try:
                task = json.loads(line)
            except ValueError as error:
                raise DataError(f"{where} is not JSON: {error}") from error
            if not isinstance(task, dict):
                raise DataError(f"{where} is no task: an object with id, entry, stub and cases is wanted")
            if task.get("split", "train") != "train":
                continue
            if problem := verifier.problem(task):
                raise DataError(f"{where} is no task: {problem}")
            tasks.append(task)
    if not tasks:
        raise DataError("on_policy.tasks holds no task of the training split")
    return tasks


def _head(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"')


def _groups(path: Path) -> list[list[Rollout]]:
    """Attempts task by task; a line cut off by a kill ends them."""
    groups = []
    for line in path.read_text("utf-8").splitlines()[1:]:
        try:
            groups.append([Rollout.of(row) for row in json.loads(line)])
        except ValueError:
            break
    return groups

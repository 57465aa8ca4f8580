"""One round, in order, each stage on disk before the next: roll out, select, train, evaluate, promote.

    <data>/finetune/<base>/round-001/
        rollouts/        attempts.jsonl and sessions/        selection.json   kept and dropped by reason
        rows.npz         what was trained on                 train/           the run of model.train
        old/ new/        held-out attempts of each           report.json      the end of the round
    <data>/finetune/<base>/kept/round-001.npz   rows of each round, replayed by later ones
    <data>/finetune/<base>/probe.npz            held-out answers of the first heads: what drift is measured on

A round without report.json is gone on with; an interrupt loses no finished stage, attempt or checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from agent import session
from agent.errors import FinetuneError, FinetuneModelError, FinetuneSandboxError
from agent.finetune import evaluation, training
from agent.finetune.lazy import LazyModel, release_memory
from agent.finetune.report import summary
from agent.finetune.rollout import GREEDY, attempts, roll_out
from agent.finetune.selection import PER_TASK, Selection, candidate, documents, select
from agent.finetune.tasks import DoctestTask, read_tasks
from agent.finetune.training import Recipe
from agent.headstore import HeadStore
from model import load, store
from model.data.samples import Samples
from model.errors import ModelError
from model.request import Decode, Model
from model.wholefile import write_whole
from verify.checker import Checker, open_checker

_KEPT = "; what was finished is kept, the same command goes on"
Say = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """model: name or folder of the base. trajectories: folders of them to learn from. tasks: a file of
    `agent tasks build` (None: learn from trajectories alone). sampled: attempts a task beside the greedy one.
    batch: of those, answered together at most (0: what suits the device).
    limit, held_out_limit: tasks of each split at most (0: all)."""

    model: str
    trajectories: tuple[Path, ...] = ()
    tasks: Path | None = None
    sampled: int = 4
    batch: int = 0
    temperature: float = 0.7
    limit: int = 0
    held_out_limit: int = 0
    per_task: int = PER_TASK
    decode: Decode = "auto"
    device: str = "auto"
    backend: str = "auto"
    unsafe: bool = False
    dry_run: bool = False
    recipe: Recipe = field(default_factory=Recipe)


class Finetune:
    """Rounds of one base. say: called with (stage, done, total) as work goes on."""

    def __init__(self, settings: Settings, say: Say = lambda stage, done, total: None) -> None:
        self.settings, self.say = settings, say
        if not settings.tasks and not settings.trajectories:
            raise FinetuneError("give --tasks, --trajectories, or both: there is nothing to learn from")
        if not settings.tasks and not settings.dry_run:
            raise FinetuneError(
                "new heads are compared with the old ones on held-out tasks: give --tasks "
                "('agent tasks build' makes them), or look with --dry-run"
            )
        name = load.default_name(settings.device) if settings.model == "default" else settings.model
        self.base = name
        try:
            self.folder = store.resolve(name)
            self.name = load.heads_name(self.folder)
        except ModelError as error:
            raise FinetuneModelError(str(error)) from error
        self.heads = HeadStore(self.name)
        self.home = session.data_folder() / "finetune" / self.name
        tasks = read_tasks(settings.tasks) if settings.tasks else []
        self.train_tasks = _first([t for t in tasks if t.split == "train"], settings.limit)
        self.held_out = _first([t for t in tasks if t.split == "held-out"], settings.held_out_limit)
        if settings.tasks and not (self.train_tasks and self.held_out):
            raise FinetuneError(f"{settings.tasks} must hold tasks to train on and held-out ones")

    def round(self) -> dict[str, Any]:
        """Do one round, or what is left of one; returns its report. Raises FinetuneError."""
        number, folder = self._folder()
        settings = self.settings
        with ExitStack() as stack:
            checkers = (
                stack.enter_context(open_checker(settings.backend, unsafe=settings.unsafe)),
                stack.enter_context(open_checker(settings.backend, unsafe=settings.unsafe)),
            )
            if not checkers[0].probe.works:
                raise FinetuneSandboxError(f"the sandbox cannot run here: {checkers[0].probe.why}")
            old = self._old_heads()
            if self.train_tasks:
                self._roll_out(
                    folder / "rollouts", "rolling out", self.train_tasks, old, checkers, sampled=True
                )
            selection = self._select(folder, checkers[1])
            report: dict[str, Any] = {
                "round": number,
                "folder": str(folder),
                "selection": selection.as_dict(),
            }
            rows = self._rows(folder, number, selection)
            report["rows"] = {"new": len(selection.kept), "replayed": rows.meta.get("replayed", 0)}
            report["old_version"] = self.heads.current
            if settings.dry_run:
                return report | {"dry_run": True, "recipe": asdict(settings.recipe)}
            new = self._train(folder, rows, old)
            comparison = self._evaluate(folder, old, new, checkers)
        report["evaluation"] = comparison.as_dict()
        report["drift"] = self._drift(folder, old, new)
        promoted, why = evaluation.verdict(comparison)
        report |= {"promoted": promoted, "why": why}
        version = self.heads.add(new, {"summary": summary(number, comparison, promoted), "report": report})
        report["version"] = version
        if promoted:
            self.heads.use(version)
        write_whole(folder / "report.json", json.dumps(report, indent=1))
        return report

    def _folder(self) -> tuple[int, Path]:
        """The round that is under way, else the next one."""
        self.home.mkdir(parents=True, exist_ok=True)
        numbers = [int(p.name[6:]) for p in self.home.glob("round-*") if p.name[6:].isdigit()]
        last = max(numbers, default=0)
        if last and not (self.home / f"round-{last:03d}" / "report.json").exists():
            number = last
        else:
            number = last + 1
        folder = self.home / f"round-{number:03d}"
        folder.mkdir(exist_ok=True)
        self._same_heads(folder)
        return number, folder

    def _same_heads(self, folder: Path) -> None:
        """A round is of one version of the heads, from its first attempt to its comparison."""
        begun, now = folder / "begun.json", self.heads.current
        if not begun.exists():
            write_whole(begun, json.dumps({"version": now}))
        before = json.loads(begun.read_text("utf-8"))["version"]
        if before != now:
            raise FinetuneError(
                f"{folder} was begun with version {before} of the heads, {now} is in use: "
                f"'agent heads use {before}' to go on with it, or delete it"
            )

    def _old_heads(self) -> Path | None:
        try:
            return load.heads_folder(self.folder, None)
        except ModelError as error:
            raise FinetuneError(str(error)) from error

    def _roll_out(
        self,
        folder: Path,
        stage: str,
        tasks: list[DoctestTask],
        heads: Path | None,
        checkers: tuple[Checker, Checker],
        *,
        sampled: bool,
    ) -> list[dict[str, Any]]:
        settings = self.settings
        wanted = attempts(settings.sampled, settings.temperature) if sampled else (GREEDY,)
        model = LazyModel(lambda: self._load(heads))
        try:
            return roll_out(
                tasks,
                wanted,
                cast("Model", model),
                checkers[0],
                checkers[1],
                folder,
                decode=settings.decode,
                together=sampled,
                batch=settings.batch or None,
                progress=lambda done, total: self.say(stage, done, total),
            )
        except ModelError as error:
            raise FinetuneModelError(f"{stage}: {error}{_KEPT}") from error
        finally:
            model.drop()

    def _load(self, heads: Path | None) -> Model:
        self.say("loading the model", 0, 1)
        return load.load(self.base, device=self.settings.device, heads=str(heads) if heads else "none")

    def _select(self, folder: Path, checker: Checker) -> Selection:
        from model.checkpoint import base_sha256
        from model.data.decontaminate import Decontaminator, humaneval

        self.say("selecting", 0, 1)
        sources = [*self.settings.trajectories, *([folder / "rollouts"] if self.train_tasks else [])]
        known = {task.id: task for task in (*self.train_tasks, *self.held_out)}
        found = [pair for source in sources for pair in documents(source)]
        selection = select(
            found,
            known,
            checker,
            Decontaminator(*humaneval()),
            base_sha256=base_sha256(self.folder),
            per_task=self.settings.per_task,
        )
        write_whole(folder / "selection.json", json.dumps(selection.as_dict(), indent=1))
        return selection

    def _rows(self, folder: Path, number: int, selection: Selection) -> Samples:
        """The rows of the round; made once, so that an interrupted training goes on with the same ones."""
        path, kept = folder / "rows.npz", self.home / "kept" / f"round-{number:03d}.npz"
        from model.tokenizer import Tokenizer

        new = training.samples(selection.kept, {"tokenizer": Tokenizer(self.folder).sha256})
        if self.settings.dry_run:
            return new
        if path.exists():
            return Samples.load(path)
        if not new.items:
            raise FinetuneError(f"no trajectory is worth learning from; {folder / 'selection.json'} says why")
        earlier = [p for p in (self.home / "kept").glob("*.npz") if p != kept]
        rows = training.replayed(new, earlier, self.settings.recipe.replay, self.settings.recipe.seed)
        kept.parent.mkdir(exist_ok=True)
        new.save(kept)
        rows.save(path)
        return rows

    def _train(self, folder: Path, rows: Samples, old: Path | None) -> Path:
        recipe = self.settings.recipe
        tokens = sum(len(s.prompt) + len(s.answer) for s in rows)
        config = training.configuration(self.base, old, folder / "rows.npz", recipe, self._device(), tokens)
        steps = config.training.max_steps
        self.say("training", 0, steps)
        try:
            return training.train(
                config, folder / "train", lambda record: self.say("training", record["step"], steps)
            )
        except ModelError as error:
            raise FinetuneModelError(str(error)) from error
        finally:
            release_memory()

    def _device(self) -> str:
        import torch

        wanted = self.settings.device
        return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted

    def _evaluate(
        self, folder: Path, old: Path | None, new: Path, checkers: tuple[Checker, Checker]
    ) -> evaluation.Comparison:
        before = self._roll_out(
            folder / "old", "held out, old heads", self.held_out, old, checkers, sampled=False
        )
        after = self._roll_out(
            folder / "new", "held out, new heads", self.held_out, new, checkers, sampled=False
        )
        return evaluation.compare(before, after)

    def _drift(self, folder: Path, old: Path | None, new: Path) -> dict[str, Any]:
        from agent.finetune.drift import PROBES, drift

        self.say("drift", 0, 1)
        path = self.home / "probe.npz"
        if not path.exists():
            made = [candidate(d) for _, d in documents(folder / "old") if d is not None]
            usable = sorted((c for c in made if c and len(c.answer_ids) >= 2), key=lambda c: c.task)
            training.samples(usable[:PROBES], {}).save(path)
        try:
            return drift(self.base, old, new, Samples.load(path))
        except ModelError as error:
            raise FinetuneModelError(f"drift: {error}{_KEPT}") from error
        finally:
            release_memory()


def _first(tasks: list[DoctestTask], limit: int) -> list[DoctestTask]:
    """Every n-th task when there is a limit, so that each unit keeps its share."""
    if not limit or limit >= len(tasks):
        return tasks
    return [tasks[i * len(tasks) // limit] for i in range(limit)]

"""Write a run in the forms other tools read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evals.benchmark import Outcome, open_benchmark
from evals.errors import RunFolderError, UsageError
from evals.rundir import RunFolder
from evals.sample import scored_from_row
from model.wholefile import write_whole
from verify.verdict import Status


def export_run(folder: RunFolder, form: str) -> str:
    """The run as text. Raises UsageError for an unknown form or a run that cannot take it."""
    if form not in FORMS:
        raise UsageError(f"no export form {form!r}; known: {', '.join((*FORMS, FOLDER))}")
    return FORMS[form](folder)


def _evalplus(folder: RunFolder) -> str:
    """`samples.jsonl` as `evalplus.evaluate --samples` takes it."""
    return _lines({"task_id": s.task_id, "solution": s.solution} for s in folder.samples())


def _evalplus_results(folder: RunFolder) -> str:
    """What `evalplus.evaluate` leaves as `_eval_results.json` (0.3.1), with our verdicts."""
    verdicts = {key: scored_from_row(row) for key, row in folder.verdicts().items()}
    evaluated: dict[str, list[dict[str, Any]]] = {}
    for sample in folder.samples():
        scored = verdicts.get(sample.key)
        if scored is None or scored.infra:
            continue
        evaluated.setdefault(sample.task_id, []).append(
            {
                "task_id": sample.task_id,
                "solution": sample.solution,
                "base_status": _status(scored.base),
                "plus_status": _status(scored.plus),
                "base_fail_tests": list(scored.base.failed),
                "plus_fail_tests": list(scored.plus.failed) if scored.plus else [],
            }
        )
    config = folder.config
    return json.dumps(
        {"date": config["created"][:16].replace("T", " "), "hash": config["version"], "eval": evaluated}
    )


def _status(outcome: Outcome | None) -> str | None:
    if outcome is None:
        return None
    return {Status.PASSED: "pass", Status.TIMEOUT: "timeout"}.get(outcome.status, "fail")


def _human_eval(folder: RunFolder) -> str:
    """Rows of human-eval, whose completion continues the prompt.

    A solution is a whole program, so the completion ends the prompt's function with `pass` and defines it
    anew.
    """
    benchmark = open_benchmark(folder.config["benchmark"])
    rows = []
    for sample in folder.samples():
        task = benchmark.tasks.get(sample.task_id)
        if task is None:
            raise UsageError(f"{sample.task_id} is no task of {benchmark.name} as installed here")
        body = sample.solution.removeprefix(task.prompt)
        completion = body if body != sample.solution else f"    pass\n\n{sample.solution}\n"
        rows.append({"task_id": sample.task_id, "completion": completion})
    return _lines(rows)


def _table_rows(folder: RunFolder) -> list[dict[str, Any]]:
    verdicts = {key: scored_from_row(row) for key, row in folder.verdicts().items()}
    timings = folder.timings()
    rows = []
    for sample in folder.samples():
        scored = verdicts.get(sample.key)
        rows.append(
            {
                "task_id": sample.task_id,
                "sample": sample.sample,
                "passed": "" if scored is None or scored.infra else int(scored.ok),
                "base": str(scored.base.status) if scored else "",
                "plus": str(scored.plus.status) if scored and scored.plus else "",
                "tokens": sample.tokens,
                "forwards": sample.forwards,
                "finish": sample.finish_reason,
                "wall_s": timings.get(sample.key, {}).get("wall_s", ""),
            }
        )
    return rows


def _csv(folder: RunFolder) -> str:
    rows = _table_rows(folder)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["task_id"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _markdown(folder: RunFolder) -> str:
    from evals.summary import summarise

    summary, config = summarise(folder), folder.config
    lines = [
        f"# {config['title']}: {config['settings']['model']}",
        "",
        "| score | value | 95 % interval |",
        "|---|---|---|",
    ]
    for group, scores in summary["pass_at_k"].items():
        for k, score in scores.items():
            low, high = score["ci95"]
            lines.append(
                f"| {k} {group} | {100 * score['value']:.1f} % | {100 * low:.1f} to {100 * high:.1f} |"
            )
    lines += [
        "",
        f"{summary['n_samples']} samples of {summary['n_tasks']} tasks; {summary['tokens']:,} tokens in "
        f"{summary['forwards']:,} forwards ({summary['tpf']:.2f} a forward), "
        f"{summary['tok_s']:.1f} tokens/s.",
        f"Infrastructure failures (not counted): {len(summary['infra'])}. Flaky: {len(summary['flaky'])}.",
        "",
        "| task | sample | base | plus | tokens | forwards |",
        "|---|---|---|---|---|---|",
    ]
    for row in _table_rows(folder):
        cells = (row[key] for key in ("task_id", "sample", "base", "plus", "tokens", "forwards"))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def write_folder(folder: RunFolder, target: Path) -> int:
    """EvalPlus's folder form (a folder a task, a file a sample) under `target`, which must be new or empty.

    Returns the number of samples. Raises RunFolderError.
    """
    samples = folder.samples()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise RunFolderError(
                f"{target}: exists already and is not an empty folder; choose another --output"
            )
        for sample in samples:
            place = target / sample.task_id.replace("/", "_")
            place.mkdir(parents=True, exist_ok=True)
            write_whole(place / f"{sample.sample}.py", sample.solution)
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written: {error.strerror or error}") from None
    return len(samples)


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FOLDER = "evalplus-folder"
FORMS: dict[str, Callable[[RunFolder], str]] = {
    "evalplus": _evalplus,
    "evalplus-results": _evalplus_results,
    "human-eval": _human_eval,
    "markdown": _markdown,
    "csv": _csv,
}

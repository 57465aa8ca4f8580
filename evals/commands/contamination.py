"""`evals contamination DATA...`: benchmark text in training data."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DATA...")
@click.option(
    "--benchmark", "chosen", multiple=True, help="Only against these; default: all that are on this machine."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a finding, then one of totals.")
def contamination(data: tuple[Path, ...], chosen: tuple[str, ...], as_json: bool) -> int:
    """Search DATA (JSON Lines, text or code files, folders) for the benchmarks' prompts and solutions.

    Exit code 1 when something was found.
    """
    from evals.benchmark import names, open_benchmark
    from evals.contamination import Index, documents
    from evals.errors import DataError

    benchmarks = [open_benchmark(name) for name in chosen or names()]
    usable = [b for b in benchmarks if chosen or not b.problem()]
    absent = [b.name for b in benchmarks if b not in usable]
    if absent:
        click.echo(f"not searched for {', '.join(absent)}: see `evals list` for how to get them", err=True)
    index = Index(task for benchmark in usable for task in benchmark.tasks.values())
    count, tainted, found = 0, 0, 0
    for path in data:
        for where, text in documents(path):
            count += 1
            findings = index.search(text, where)
            tainted += bool(findings)
            found += len(findings)
            for finding in findings:
                row = {
                    "where": finding.where,
                    "task_id": finding.task_id,
                    "kind": finding.kind,
                    "share": finding.share,
                }
                click.echo(
                    json.dumps(row)
                    if as_json
                    else f"{where}: {finding.task_id} {finding.kind} {finding.share:.0%}"
                )
    if not count:
        raise DataError(f"{', '.join(map(str, data))}: no text to search (JSON Lines, text or code)")
    searched = [b.name for b in usable]
    totals = {
        "documents": count,
        "contaminated": tainted,
        "findings": found,
        "benchmarks": searched,
    }
    if as_json:
        click.echo(json.dumps(totals))
    else:
        click.echo(f"{tainted} of {count} documents hold benchmark text (searched: {', '.join(searched)})")
    return 1 if found else 0

"""`verify abuse`: the suite of hostile programs against a backend, as a table."""

from __future__ import annotations

import json

import click

LANGUAGES = ("python", "bend", "all")


@click.command()
@click.option("--backend", default="auto", show_default=True, help="auto, bubblewrap, docker or subprocess.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="python", show_default=True)
@click.option("--only", metavar="TEXT", help="Cases whose name contains TEXT.")
@click.option(
    "--unsafe", is_flag=True, help="Allow the subprocess backend. The suite will harm this machine."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def abuse(backend: str, lang: str, only: str | None, *, unsafe: bool, as_json: bool) -> int:
    """Run hostile programs and look, from the host, for escapes, forged verdicts and leftovers.

    Exit code 0 when there are none, 1 otherwise, 5 when the backend does not work here.
    """
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

    from verify.abuse.canary import Canary
    from verify.abuse.case import read_all
    from verify.abuse.runner import run_cases
    from verify.checker import open_checker

    cases = [case for case in read_all(None if lang == "all" else lang) if not only or only in case.name]
    if not cases:
        raise click.UsageError(f"no case of --lang {lang} has {only!r} in its name")
    try:
        opened = open_checker(backend, jobs=1, unsafe=unsafe)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with Canary() as canary, opened as checker:
        if checker.sandbox is None:
            click.echo(f"verify abuse: {checker.probe.why}", err=True)
            return 5
        name = checker.probe.name
        cases = [case for case in cases if case.suits(name)]
        console = Console(stderr=True)
        rows = []
        with Progress(console=console, disable=as_json or not console.is_terminal) as progress:
            task = progress.add_task(f"abuse on {name}", total=len(cases))
            for row in run_cases(cases, checker, canary):
                rows.append(row)
                progress.advance(task)
        isolation = checker.probe.isolation
    kinds = {kind: sum(any(p.startswith(kind) for p in row.problems) for row in rows) for kind in _KINDS}
    wrong = sum(not row.allowed for row in rows)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "backend": name,
                    "isolation": isolation,
                    "cases": len(rows),
                    "ok": sum(row.ok for row in rows),
                    "wrong_status": wrong,
                    **{_KINDS[kind]: count for kind, count in kinds.items()},
                    "rows": [row.to_dict() for row in rows],
                }
            )
        )
        return int(not all(row.ok for row in rows))
    click.echo(f"{name}: {isolation}")
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "verdict", "ms"):
        table.add_column(heading, justify="right" if heading == "ms" else "left", no_wrap=True)
    table.add_column("problems")
    for row in rows:
        colour = "green" if row.ok else "red"
        problems = "; ".join(row.problems) or ("" if row.allowed else f"wrong status; the attack: {row.why}")
        table.add_row(row.name, Text(row.status, colour), f"{row.wall_ms:.0f}", Text(problems, "red"))
    Console().print(table)
    summary = ", ".join(f"{count} {_KINDS[kind].replace('_', ' ')}" for kind, count in kinds.items())
    click.echo(f"{len(rows)} cases, {sum(row.ok for row in rows)} ok: {summary}, {wrong} wrong status")
    return int(not all(row.ok for row in rows))


_KINDS = {"ESCAPE": "escapes", "FORGED": "forged_verdicts", "LEFT": "leftovers", "HARM": "harm_to_others"}

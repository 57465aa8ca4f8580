"""`verify doctor`: every backend, works or not, why, and what to do."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--backend", multiple=True, help="Only these. Repeatable; default all, and Bend.")
@click.option(
    "--contract", is_flag=True, help="Also every promise of the sandbox contract (half a minute more)."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(backend: tuple[str, ...], *, contract: bool, as_json: bool) -> int:
    """Test what each backend claims by trying to break it.

    Exit code 0 when at least one sandbox works and none is broken, 5 otherwise.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from verify.backends import BACKENDS
    from verify.doctor import Finding, bend_findings, diagnose
    from verify.terminal import line

    names = backend or BACKENDS
    for name in names:
        if name not in (*BACKENDS, "bend"):
            raise click.UsageError(f"unknown backend {name!r}: one of {', '.join(BACKENDS)}, bend")
    console = Console(stderr=True)
    findings: list[Finding] = []
    with console.status("trying to break each claim"):
        findings += diagnose(tuple(name for name in names if name in BACKENDS), contract)
        if not backend or "bend" in backend:
            findings += bend_findings()
    if as_json:
        click.echo(json.dumps([finding.to_dict() for finding in findings]))
    else:
        table = Table("backend", "claim", "")
        table.add_column("why, and what to do", overflow="fold")
        colours = {"ok": "green", "broken": "bold red", "missing": "yellow", "skipped": "dim"}
        for finding in findings:
            words = line("; ".join(filter(None, (finding.why, finding.remedy))))
            table.add_row(
                finding.backend, finding.claim, Text(finding.state, colours[finding.state]), Text(words)
            )
        Console().print(table)
    sound = any(f.state == "ok" and f.claim == "starts" and f.backend != "subprocess" for f in findings)
    return 0 if sound and not any(finding.state == "broken" for finding in findings) else 5

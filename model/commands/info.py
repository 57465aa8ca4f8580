"""`model info`: which models are here, and what one of them needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from model.memory import Shape


@click.command()
@click.argument("name", required=False)
@click.option("--context", type=click.IntRange(min=1), metavar="N", help="Reckon with N tokens of context.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(name: str | None, context: int | None, as_json: bool) -> None:
    """What is on this machine; with NAME, its size, the memory it needs and the GPUs it fits.

    NAME is a named model (pulled or not), `tiny`, a model folder or a .gguf file.
    """
    if name is None:
        rows = _list()
        if as_json:
            click.echo(json.dumps(rows))
        else:
            _print_list(rows)
        return
    about = _about(name, context)
    if as_json:
        click.echo(json.dumps(about))
    else:
        _print_about(about)


def _list() -> list[dict[str, Any]]:
    """Named models first, then what was adopted or converted on this machine."""
    from model import store
    from model.names import DEFAULT, NAMED

    rows = []
    for entry in NAMED.values():
        here = store.is_pulled(entry.name)
        about = entry.about if entry.name != DEFAULT else f"{entry.about} (default)"
        rows.append(_row(entry.name, here, entry.size, about, store.folder_of(entry.name)))
    rows.append(_row("tiny", True, 0, "random, for tests; also tiny-qwen3, tiny-qwen3-moe", None))
    if store.models_folder().is_dir():
        for folder in sorted(store.models_folder().iterdir()):
            name = folder.name
            if name not in NAMED and not name.startswith((".", "tiny")) and store.is_pulled(name):
                rows.append(_row(name, True, 0, "adopted", folder))
    return rows


def _row(name: str, here: bool, fetch: int, about: str, folder: Path | None) -> dict[str, Any]:
    size = sum(path.stat().st_size for path in folder.iterdir()) if here and folder else 0
    return {"name": name, "here": here, "disk_bytes": size, "fetch_bytes": fetch, "about": about}


def _about(name: str, context: int | None) -> dict[str, Any]:
    from model import store
    from model.errors import NotPulledError
    from model.memory import shape_of, table
    from model.names import NAMED

    try:
        folder = store.resolve(name)
    except NotPulledError:
        if name not in NAMED:
            raise
        folder = None
    shape = NAMED[name].shape if folder is None else shape_of(folder)
    made = {} if folder is None else store.record(folder)
    tokens = context or shape.context
    if tokens > shape.longest:
        raise click.UsageError(
            f"{name} goes up to {shape.longest} tokens of context, {tokens} were asked for"
        )
    return {
        "name": name,
        "here": folder is not None,
        "folder": None if folder is None else str(folder),
        "parameters": shape.parameters,
        "active_parameters": shape.active,
        "weight_bytes": shape.weight_bytes,
        "context": shape.context,
        "context_yarn": shape.stretched or None,
        "at_context": tokens,
        "kv_bytes": tokens * shape.kv_bytes_per_token,
        "needs_bytes": shape.needs(tokens),
        "gpus": [
            {"gb": fit.gpu_gb, "fits": fit.fits, "longest_context": fit.longest}
            for fit in table(shape, tokens)
        ],
        "this_machine": _this_machine(shape, tokens),
        "source_sha256": made.get("source", {}).get("sha256"),
        "tensors_sha256": made.get("tensors_sha256"),
        "tokenizer_sha256": made.get("tokenizer_sha256"),
        "heads": None if folder is None else _heads(folder),
    }


def _heads(folder: Path) -> dict[str, Any] | None:
    """The heads that `load` would mount on this base: where, ranks, hash and how they were trained."""
    from model import store
    from model.errors import WeightsError
    from model.load import heads_folder

    place = heads_folder(folder, None)
    if place is None:
        return None
    try:
        record = json.loads((place / "heads.json").read_text(encoding="utf-8"))
        heads = {
            name: {"role": head["role"], "r": head["r"], "alpha": head["alpha"]}
            for name, head in record["config"]["heads"].items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{place}/heads.json cannot be read ({error}); use other heads") from error
    training = {
        key: value
        for key, value in record.get("training", {}).items()
        if isinstance(value, int | float | str)
    }
    sha256 = store.sha256_of(place / "heads.json")
    return {"folder": str(place), "sha256": sha256, "heads": heads, "training": training}


def _this_machine(shape: Shape, tokens: int) -> dict[str, Any]:
    """Whether the model fits here: on the first GPU when there is one, else in main memory, dequantised."""
    import psutil
    import torch

    from model.fp8 import has_fp8_units

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        need = shape.needs(tokens)
        if shape.is_fp8 and not has_fp8_units(torch.device("cuda")):
            need += shape.dequantised_bytes - shape.weight_bytes
        return {
            "device": properties.name,
            "memory_bytes": properties.total_memory,
            "needs_bytes": need,
            "fits": need <= properties.total_memory,
        }
    memory = int(psutil.virtual_memory().total)
    # A CPU without bf16 units is fastest with the weights twice, in bf16 and in float32.
    need = 3 * shape.dequantised_bytes + tokens * shape.kv_bytes_per_token
    return {"device": "cpu", "memory_bytes": memory, "needs_bytes": need, "fits": need <= memory}


def _print_list(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "here", "size", "what it is", box=None, pad_edge=False)
    for row in rows:
        size = row["disk_bytes"] or row["fetch_bytes"]
        shown = f"{size / 1e9:.1f} GB" if size else "-"
        mark = "yes" if row["here"] else "no"
        table.add_row(
            Text(row["name"]), mark, shown if row["here"] else f"{shown} to fetch", Text(row["about"])
        )
    Console().print(table)
    if not any(row["here"] and row["fetch_bytes"] for row in rows):
        click.echo("Fetch the default with: model pull")


def _print_about(about: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    where = about["folder"] if about["here"] else f"not here; run: model pull {about['name']}"
    click.echo(f"{about['name']}: {where}")
    active = (
        ""
        if about["active_parameters"] == about["parameters"]
        else f" ({_count(about['active_parameters'])} active)"
    )
    click.echo(
        f"  parameters  {_count(about['parameters'])}{active}, weights {about['weight_bytes'] / 1e9:.2f} GB"
    )
    yarn = f", {about['context_yarn']} with YaRN" if about["context_yarn"] else ""
    click.echo(f"  context     {about['context']} tokens{yarn}")
    click.echo(
        f"  memory      {about['needs_bytes'] / 1e9:.2f} GB on a GPU at {about['at_context']} tokens"
        f" ({about['kv_bytes'] / 1e9:.2f} GB of it K/V cache)"
    )
    here = about["this_machine"]
    verdict = "fits" if here["fits"] else "does not fit"
    click.echo(
        f"  here        {here['device']}, {here['memory_bytes'] / 1e9:.1f} GB: {verdict}"
        f" (needs {here['needs_bytes'] / 1e9:.2f} GB)"
    )
    for key in ("source_sha256", "tensors_sha256", "tokenizer_sha256"):
        if about[key]:
            click.echo(f"  {key:<17} {about[key]}")
    _print_heads(about["heads"])
    table = Table("GPU", f"fits at {about['at_context']}", "longest context", box=None, pad_edge=False)
    for gpu in about["gpus"]:
        longest = str(gpu["longest_context"]) if gpu["longest_context"] else "-"
        table.add_row(f"{gpu['gb']} GB", "yes" if gpu["fits"] else "no", longest)
    Console().print(table)


def _print_heads(heads: dict[str, Any] | None) -> None:
    from model.safetext import printable

    if heads is None:
        return
    click.echo(f"  heads       {heads['folder']} (sha256 {heads['sha256'][:16]}...)")
    for name, head in heads["heads"].items():
        click.echo(printable(f"    {name:<16} role {head['role']}, r {head['r']}, alpha {head['alpha']:g}"))
    if heads["training"]:
        record = ", ".join(f"{key} {value}" for key, value in heads["training"].items())
        click.echo(printable(f"    trained: {record}"))


def _count(number: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= unit:
            return f"{number / unit:.2f}{name}"
    return str(number)

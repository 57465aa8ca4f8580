"""`model quantize`: write FP8 checkpoints and measure what FP8 costs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
@click.option(
    "--fp8", "fp8", is_flag=True, help="To float8_e4m3fn with 128x128 blocks (the one format there is)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="A new folder for the checkpoint."
)
@click.option("--report", is_flag=True, help="Measure the perplexity with and without FP8.")
@click.option(
    "--tokens", type=click.IntRange(min=2), default=2048, show_default=True, help="Of text, for --report."
)
@click.option("--device", default="cpu", show_default=True, help="Where --report computes.")
@click.option("--synthetic", is_flag=True, help="Instead of NAME: random weights in the format of the 30B.")
@click.option("--layers", type=click.IntRange(min=1), default=48, show_default=True, help="With --synthetic.")
@click.option("--seed", type=int, default=0, show_default=True, help="With --synthetic.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quantize(
    name: str | None,
    fp8: bool,
    out: Path | None,
    report: bool,
    tokens: int,
    device: str,
    synthetic: bool,
    layers: int,
    seed: int,
    as_json: bool,
) -> None:
    """Quantise the model NAME to FP8, in the format of Qwen3-Coder-30B-A3B-Instruct-FP8.

    With --report (and no --out: into a folder that is thrown away) the perplexity of both is measured.
    """
    from model.commands.progress import StageBars

    if not fp8:
        raise click.UsageError("say --fp8, the one format there is")
    if synthetic and (name is not None or report):
        raise click.UsageError("--synthetic takes neither NAME nor --report")
    if not synthetic and name is None:
        raise click.UsageError("which model? e.g. `model quantize --fp8 qwen2.5-coder-0.5b --out DIR`")
    if out is None and (synthetic or not report):
        raise click.UsageError("give --out DIR, a new folder")
    result: dict[str, object] = {}
    with StageBars(quiet=as_json) as bars, tempfile.TemporaryDirectory() as scratch:
        target = out or Path(scratch) / "fp8"
        if name is None:
            from model import store
            from model.errors import WeightsError
            from model.synthetic import write_synthetic

            if target.exists():
                raise WeightsError(f"{target} exists; give a new folder")
            with store.replacing(target.resolve()) as folder:
                write_synthetic(folder, seed=seed, progress=bars.stage("quantize"), num_hidden_layers=layers)
        else:
            from model import quantize as quantizing
            from model import store

            source = store.resolve(name)
            quantizing.quantise_folder(source, target, progress=bars.stage("quantize"))
            result |= {"weight_bytes_before": _weights(source)}
            if report:
                loss = quantizing.measure(
                    source, target, tokens=tokens, device=device, progress=bars.stage("perplexity")
                )
                result |= {
                    "tokens": loss.tokens,
                    "perplexity": round(loss.base, 4),
                    "perplexity_fp8_weights": round(loss.weights, 4),
                    "perplexity_fp8_weights_activations": round(loss.both, 4),
                }
        result |= {"weight_bytes": _weights(target), "folder": None if out is None else str(out)}
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print(result)


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _print(result: dict[str, object]) -> None:
    if result["folder"]:
        click.echo(f"FP8 checkpoint in {result['folder']}")
    for key, value in result.items():
        if key != "folder":
            click.echo(f"  {key:<36} {value}")

"""`model generate`: text from a prompt or a chat, streamed for people or as one JSON object."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from model.commandline import Number

if TYPE_CHECKING:
    from model.request import GenerateRequest, Generation, Model


@click.command()
@click.option("--prompt", metavar="P", help="The prompt; `-` reads it from standard input.")
@click.option("--file", type=click.Path(path_type=Path), metavar="F", help="Read the prompt from a file.")
@click.option("--chat", is_flag=True, help="Ask as a user in a chat instead of continuing raw text.")
@click.option("--system", metavar="S", help="With --chat: the system message.")
@click.option(
    "--model", "name", default="default", show_default=True, metavar="NAME", help="See `model info`."
)
@click.option("--heads", metavar="FOLDER", help="Trained heads; `none` for the bare base.")
@click.option(
    "--decode",
    type=click.Choice(["auto", "ar", "diffusion", "verified", "lookup"]),
    default="ar",
    show_default=True,
)
@click.option("--max-tokens", type=click.IntRange(min=1), default=256, show_default=True)
@click.option("--temperature", type=Number(min=0), default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=Number(min=0, max=1, min_open=True), default=1.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--stop", multiple=True, metavar="S", help="End the text before S; may be given several times.")
@click.option("--block", type=click.IntRange(min=2), help="Draft block size (default: the decoder's choice).")
@click.option(
    "--threshold",
    type=Number(min=0, max=1, min_open=True),
    help="diffusion: a draft token stays when it has this share of the probability of the AR head's own (1: "
    "only that one). With --commit prefix or block: the confidence that commits it.",
)
@click.option(
    "--commit",
    type=click.Choice(["lenient", "prefix", "block"]),
    help="diffusion: who decides. lenient (its default): the AR head judges the drafts; prefix, block: the "
    "diffusion head runs freely.",
)
@click.option("--context", type=click.IntRange(min=1), metavar="N", help="Context length in tokens.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--explain", is_flag=True, help="Show the decode step by step, coloured per head.")
def generate(
    prompt: str | None,
    file: Path | None,
    chat: bool,
    system: str | None,
    name: str,
    heads: str | None,
    decode: str,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    stop: tuple[str, ...],
    block: int | None,
    threshold: float | None,
    commit: str | None,
    context: int | None,
    device: str,
    as_json: bool,
    explain: bool,
) -> None:
    """Generate text. The prompt comes from --prompt, --file or standard input.

    --json prints text, token_ids, tokens, forwards, tokens_per_forward, wall_s, finish_reason, model, decode.
    """
    from rich.console import Console
    from rich.text import Text

    from model.load import load
    from model.request import GenerateRequest, Message

    if as_json and explain:
        raise click.UsageError("--json and --explain exclude each other")
    if system is not None and not chat:
        raise click.UsageError("--system needs --chat")
    if "" in stop:
        raise click.UsageError("a stop string cannot be empty")
    if commit is not None and decode != "diffusion":
        raise click.UsageError(f"--commit is for --decode diffusion, not {decode}")
    text = _read_prompt(prompt, file)
    messages: tuple[Message, ...] = ()
    if chat:
        opening = () if system is None else (Message("system", system),)
        messages = (*opening, Message("user", text))
    request = GenerateRequest(
        messages=messages,
        prompt=None if chat else text,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
        decode=decode,  # type: ignore[arg-type]  # click gives one of the choices as a plain str
        block=block,
        threshold=threshold,
        extra={} if commit is None else {"commit": commit},
    )
    with Console(stderr=True).status(Text(f"loading {name}")):
        model = load(name, device=device, heads=heads, context=context)
    if decode == "verified" and not getattr(model, "drafts", True):
        click.echo("warning: no head drafts here, so `verified` is `ar` made slower: give --heads", err=True)
    if explain:
        from model.flow import explain as explain_flow

        explain_flow(model, request)
        return
    result = _run(model, request, quiet=as_json)
    if as_json:
        click.echo(json.dumps(to_json(result)))
    else:
        click.echo()
        click.echo(
            f"{result.tokens} tokens, {result.forwards} forwards ({result.tokens_per_forward:.2f} tokens per"
            f" forward), {result.wall_s:.2f} s, finished by {result.finish_reason}",
            err=True,
        )
    if result.finish_reason == "cancelled":
        raise click.Abort


def to_json(result: Generation) -> dict[str, object]:
    """The fields that `--json` prints."""
    return {
        "text": result.text,
        "token_ids": list(result.token_ids),
        "tokens": result.tokens,
        "forwards": result.forwards,
        "tokens_per_forward": round(result.tokens_per_forward, 4),
        "wall_s": round(result.wall_s, 4),
        "prefill_s": round(result.prefill_s, 4),
        "prompt_tokens": result.prompt_tokens,
        "finish_reason": result.finish_reason,
        "model": result.model,
        "decode": result.decode,
    }


def _run(model: Model, request: GenerateRequest, *, quiet: bool) -> Generation:
    """Generate, streaming the text unless quiet. Ctrl-C cancels at the next step and keeps what is there."""
    from model.interrupt import cancel_on_interrupt
    from model.safetext import printable

    cancel = threading.Event()
    result: Generation | None = None
    with cancel_on_interrupt(cancel):
        for step in model.generate(request, cancel):
            if step.text and not quiet:
                click.echo(printable(step.text), nl=False)
                sys.stdout.flush()
            result = step.result or result
    if result is None:
        raise RuntimeError("the decoder ended without a result")
    return result


def _read_prompt(prompt: str | None, file: Path | None) -> str:
    if prompt is not None and file is not None:
        raise click.UsageError("give --prompt or --file, not both")
    if file is not None and str(file) != "-":
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{file} is not UTF-8 text") from error
        except OSError as error:
            raise click.UsageError(f"cannot read {file}: {error.strerror}") from error
    elif prompt is None or prompt == "-":
        if sys.stdin.isatty() and prompt is None and file is None:
            raise click.UsageError("give a prompt: --prompt P, --file F, or text on standard input")
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    else:
        text = prompt
    if not text:
        raise click.UsageError("the prompt is empty")
    return text

"""A recorded trajectory, shown to a person."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from agent.untrusted import clean, one_line, tail


def show(document: dict[str, Any]) -> None:
    """Print an ATIF document step by step, with nothing in it interpreted as markup."""
    console = Console(highlight=False, markup=False, soft_wrap=True)

    def say(text: str, style: str = "") -> None:
        console.print(Text(clean(text), style=style))

    agent, extra = document["agent"], document["extra"]
    outcome = extra["outcome"] or {"status": "unfinished", "error": ""}
    say(f"{document['session_id']}  {extra['task']}  {agent['model_name']}  {outcome['status']}", "bold")
    if outcome["error"]:
        say(one_line(outcome["error"], 300))
    for step in document["steps"]:
        more = step.get("extra", {})
        metrics = step.get("metrics")
        title = f"\n{step['step_id']}. {more.get('phase', step['source'])}"
        if metrics:
            title += f"  {metrics['completion_tokens']} tokens, {metrics['extra']['forwards']} forwards"
        say(title, "bold cyan")
        last = more.get("messages", [])[-1:]
        prefill = last[0]["content"] if last and last[0]["role"] == "assistant" else ""
        say(prefill + step["message"])
        names = {c["tool_call_id"]: c["function_name"] for c in step.get("tool_calls", [])}
        for result in step.get("observation", {"results": []})["results"]:
            kind = names.get(result.get("source_call_id", ""), result.get("extra", {}).get("kind", "note"))
            say(f"  {kind}: {tail(result['content'], 12)}", "yellow")

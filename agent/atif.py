"""Events to ATIF v1.8 (Agent Trajectory Interchange Format, the Harbor project's RFC 0001).

One agent step a model call: its text, metrics with token ids and log-probabilities, the edits and checks that
followed as tool calls with their results as observations. What ATIF has no field for sits in `extra`: the
exact messages, the order in which tokens were committed, head, block and threshold, seed, hashes of base and
heads, the verdict. Works on the rows of `events.jsonl`, so a live run and a crashed one give the same
document.
"""

from __future__ import annotations

from typing import Any

from verify.distribution import NAME, version

SCHEMA = "ATIF-v1.8"
Row = dict[str, Any]


def build(rows: list[Row]) -> dict[str, Any]:
    """The ATIF document of a run's rows; complete after any prefix of them that begins with `started`."""
    start: Row = next((r for r in rows if r["type"] == "started"), {})
    done: Row | None = next((r for r in rows if r["type"] == "done"), None)
    steps = _Steps(start)
    for row in rows:
        steps.add(row)
    steps.close()
    calls = [s["metrics"] for s in steps.steps if "metrics" in s]
    info = start.get("info") or {}
    forwards = sum(m["extra"]["forwards"] for m in calls)
    tokens = sum(m["completion_tokens"] for m in calls)
    outcome = (
        {k: done[k] for k in ("status", "exit_code", "error", "files_changed", "repairs", "wall_s")}
        if done
        else None
    )
    return {
        "schema_version": SCHEMA,
        "session_id": start.get("session_id", ""),
        "trajectory_id": start.get("session_id", ""),
        "agent": {
            "name": NAME,
            "version": version(),
            "model_name": start.get("model", ""),
            "tool_definitions": _TOOLS,
            "extra": {"model": info, "settings": start.get("settings", {})},
        },
        "steps": steps.steps,
        "final_metrics": {
            "total_prompt_tokens": sum(m["prompt_tokens"] for m in calls),
            "total_completion_tokens": tokens,
            "total_steps": len(steps.steps),
            "extra": {
                "forwards": forwards,
                "tokens_per_forward": tokens / forwards if forwards else 0.0,
                "model_calls": len(calls),
            },
        },
        "extra": {
            "task": start.get("name", ""),
            "source": start.get("source", "user"),
            "complete": done is not None,
            "outcome": outcome,
            "verdict": steps.verdict,
        },
    }


def _tool(name: str, description: str, properties: dict[str, str]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(properties),
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


_TOOLS = [
    _tool(
        "edit", "Change a file of the workspace; the diff is unified.", {"path": "string", "diff": "string"}
    ),
    _tool("verify", "Run the task's tests in a sandbox.", {"fresh": "boolean"}),
]


class _Steps:
    def __init__(self, start: Row) -> None:
        self.steps: list[dict[str, Any]] = []
        self.verdict: dict[str, Any] | None = None
        self._model = start.get("model", "")
        self._call: Row | None = None  # the call that has no answer yet
        self._partial: list[Row] = []  # its decoding steps

    def add(self, row: Row) -> None:
        match row["type"]:
            case "started":
                self._step(row, "user", row["task"])
            case "model_called":
                self.close()
                self._call, self._partial = row, []
            case "decoded":
                self._partial.append(row["step"])
            case "model_answered":
                self._answered(row)
            case "scaffolded":
                self._note("scaffold", row["text"], {"origin": row["origin"], "entry": row["entry"]})
            case "edited":
                arguments = {"path": row["path"], "diff": row["diff"]}
                self._tool("edit", arguments, "created" if row["created"] else "changed", {})
            case "format_failed":
                self._note("format_error", row["reason"], {"consecutive": row["consecutive"]})
            case "verified":
                self.verdict = row["verdict"]
                arguments = {"fresh": row["fresh"]}
                extra = {"verdict": row["verdict"], "attempt": row["attempt"]}
                self._tool("verify", arguments, _verdict_text(row["verdict"]), extra)
            case "repairing":
                self._note("evidence", row["evidence"], {"attempt": row["attempt"]})
            case "restored":
                self._note("restored", "\n".join(row["paths"]), {})

    def close(self) -> None:
        """A call without an answer (the run was killed): keep the tokens that were committed."""
        if self._call is None:
            return
        call, partial = self._call, self._partial
        tokens = sorted((t for s in partial for t in s["committed"]), key=lambda t: int(t["position"]))
        commit = {t["position"]: i for i, s in enumerate(partial) for t in s["committed"]}
        generation = {
            "text": "".join(s["text"] for s in partial),
            "token_ids": [t["id"] for t in tokens],
            "logprobs": None,
            "commit_step": [commit[t["position"]] for t in tokens],
            "prompt_tokens": 0,
            "prompt_ids": [],
            "tokens": len(tokens),
            "forwards": len(partial),
            "finish_reason": "killed",
        }
        self._answered(
            {"at": call["at"], "phase": call["phase"], "call": call["call"], "generation": generation}
        )

    def _answered(self, row: Row) -> None:
        generation, call = row["generation"], self._call or {}
        kept = ("commit_step", "forwards", "wall_s", "prefill_s", "finish_reason", "decode", "model")
        extra = {key: generation[key] for key in kept if key in generation}
        extra |= {key: call[key] for key in ("temperature", "seed", "max_tokens") if key in call}
        heads = [s["head"] for s in self._partial]
        if any(head != "ar" for head in heads):
            extra["heads"] = heads
        if revised := [[i, t] for i, s in enumerate(self._partial) for t in s["revised"]]:
            extra["revisions"] = revised
        metrics = {
            "prompt_tokens": generation["prompt_tokens"],
            "completion_tokens": generation["tokens"],
            "prompt_token_ids": generation["prompt_ids"],
            "completion_token_ids": generation["token_ids"],
            "logprobs": generation["logprobs"],
            "extra": extra,
        }
        step = self._step(row, "agent", generation["text"])
        step |= {
            "model_name": self._model,
            "metrics": {k: v for k, v in metrics.items() if v is not None},
            "llm_call_count": 1,
            "extra": {
                "phase": row["phase"],
                "call": row["call"],
                "messages": call.get("messages", []),
                "redacted": row.get("redacted", False),
            },
        }
        self._call, self._partial = None, []

    def _step(self, row: Row, source: str, message: str) -> dict[str, Any]:
        step = {"step_id": len(self.steps) + 1, "timestamp": row["at"], "source": source, "message": message}
        self.steps.append(step)
        return step

    def _tool(self, name: str, arguments: dict[str, Any], content: str, extra: dict[str, Any]) -> None:
        step = self.steps[-1]
        calls = step.setdefault("tool_calls", []) if step["source"] == "agent" else []
        identity = f"{step['step_id']}-{len(calls) + 1}"
        calls.append({"tool_call_id": identity, "function_name": name, "arguments": arguments})
        result: dict[str, Any] = {"content": content, "extra": extra}
        if step["source"] == "agent":
            result["source_call_id"] = identity
        step.setdefault("observation", {"results": []})["results"].append(result)

    def _note(self, kind: str, content: str, extra: dict[str, Any]) -> None:
        """An observation that no tool call asked for."""
        result = {"content": content, "extra": {"kind": kind, **extra}}
        self.steps[-1].setdefault("observation", {"results": []})["results"].append(result)


def _verdict_text(verdict: dict[str, Any]) -> str:
    counts = f" {verdict['passed']}/{verdict['total']}" if verdict["total"] else ""
    return f"{verdict['status']}{counts} {verdict['detail']}".strip()

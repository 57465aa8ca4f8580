"""The figures of a run, derived from its files and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from agent.stats import Interval, bootstrap_mean, pass_at_k, spread, wilson
from evals.benchmark import Scored
from evals.rundir import RunFolder
from evals.sample import Sample, scored_from_row

KS = (1, 5, 10, 100)


def summarise(folder: RunFolder) -> dict[str, Any]:
    """Scores, speed, parallelism. Samples not judged yet count nowhere, infrastructure failures apart."""
    config = folder.config
    samples = folder.samples()
    verdicts = {key: (scored_from_row(row), bool(row["flaky"])) for key, row in folder.verdicts().items()}
    judged = [(s, *verdicts[s.key]) for s in samples if s.key in verdicts]
    valid = [(sample, scored) for sample, scored, _ in judged if not scored.infra]
    groups: dict[str, list[tuple[Sample, bool]]] = {"base": [(s, v.base.ok) for s, v in valid]}
    if any(v.plus is not None for _, v in valid):
        groups["plus"] = [(s, v.ok) for s, v in valid]
    main = groups.get("plus", groups["base"])
    scores = {name: _pass_at_k(rows) for name, rows in groups.items()}
    first = scores["plus" if "plus" in groups else "base"].get("pass@1", {"value": 0.0, "ci95": [0.0, 1.0]})
    tokens, forwards = sum(s.tokens for s in samples), sum(s.forwards for s in samples)
    speed = _speed(folder, samples)
    return {
        "dataset": config["benchmark"],
        "n_tasks": len({s.task_id for s, _ in main}),
        "n_samples": len(main),
        "pass_at_1": first["value"],
        "ci95": first["ci95"],
        "pass_at_k": scores,
        "tokens": tokens,
        "forwards": forwards,
        "tpf": round(tokens / forwards, 4) if forwards else 0.0,
        "tok_s": round(tokens / speed["generate_s"], 2) if speed["generate_s"] else 0.0,
        "speed": speed,
        "steps": _steps(samples),
        "categories": _categories(config, main),
        "statuses": dict(sorted(Counter(_status(scored) for _, scored, _ in judged).items())),
        "within_turns": _within_turns(main),
        "finish": dict(sorted(Counter(s.finish_reason for s in samples if s.finish_reason).items())),
        "infra": [list(s.key) for s, scored, _ in judged if scored.infra],
        "flaky": [list(s.key) for s, _, flaky in judged if flaky],
        "pending": len(samples) - len(judged),
        "expected_tasks": len(config["tasks"]),
    }


def _within_turns(rows: Sequence[tuple[Sample, bool]]) -> dict[str, float]:
    """For benchmarks with several answers a sample: the share that passed within so many answers."""
    longest = max((sample.turns for sample, _ in rows), default=1)
    if longest == 1:
        return {}
    counts = {k: sum(ok and sample.turns <= k for sample, ok in rows) for k in range(1, longest + 1)}
    return {str(k): round(count / len(rows), 4) for k, count in counts.items()}


def _status(scored: Scored) -> str:
    if not scored.base.ok or scored.plus is None:
        return str(scored.base.status)
    return "passed" if scored.plus.ok else f"plus:{scored.plus.status}"


def _pass_at_k(rows: Sequence[tuple[Sample, bool]]) -> dict[str, dict[str, Any]]:
    """pass@k for each k that every task has samples for, with a 95 % interval over tasks.

    Wilson's interval where each task is one yes or no, else a bootstrap over tasks.
    """
    by_task: dict[str, list[bool]] = {}
    for sample, ok in rows:
        by_task.setdefault(sample.task_id, []).append(ok)
    if not by_task:
        return {}
    fewest = min(len(flags) for flags in by_task.values())
    found = {}
    for k in KS:
        if k > fewest:
            break
        values = [pass_at_k(len(flags), sum(flags), k) for flags in by_task.values()]
        mean = sum(values) / len(values)
        single = all(len(flags) == 1 for flags in by_task.values())
        interval = wilson(sum(map(round, values)), len(values)) if single else bootstrap_mean(values)
        found[f"pass@{k}"] = {"value": round(mean, 6), "ci95": _rounded(interval), "tasks": len(values)}
    return found


def _rounded(interval: Interval) -> list[float]:
    return [round(interval.low, 4), round(interval.high, 4)]


def _categories(config: dict[str, Any], rows: Iterable[tuple[Sample, bool]]) -> dict[str, dict[str, Any]]:
    labels: dict[str, str] = config["tasks"]
    counts: dict[str, list[bool]] = {}
    for sample, ok in rows:
        counts.setdefault(labels.get(sample.task_id, ""), []).append(ok)
    return {
        label: {"samples": len(flags), "passed": sum(flags), "ci95": _rounded(wilson(sum(flags), len(flags)))}
        for label, flags in sorted(counts.items())
        if label
    }


def _speed(folder: RunFolder, samples: Sequence[Sample]) -> dict[str, Any]:
    """generate_s sums the samples' own shares of the time, so a resumed run counts everything once.

    tok_s_median and its spread are those of one answer; in a batch many are made at once.
    """
    timings = folder.timings()
    rows = [(sample, timings[sample.key]) for sample in samples if sample.key in timings]
    rates = [s.tokens / t["wall_s"] for s, t in rows if t.get("wall_s") and s.tokens]
    median, low, high = spread(rates)
    first = spread([t["ttft_s"] for _, t in rows if t.get("ttft_s") is not None])
    return {
        "generate_s": round(sum(t.get("share_s", t.get("wall_s", 0.0)) for _, t in rows), 3),
        "tok_s_median": round(median, 2),
        "tok_s_p5_p95": [round(low, 2), round(high, 2)],
        "ttft_s_median": round(first[0], 4),
        "ttft_s_p5_p95": [round(first[1], 4), round(first[2], 4)],
        "peak_rss_mb": max((t.get("peak_rss_mb", 0.0) for _, t in rows), default=0.0),
        "peak_gpu_mb": max((t.get("peak_gpu_mb", 0.0) for _, t in rows), default=0.0),
    }


def _steps(samples: Sequence[Sample]) -> dict[str, Any]:
    """How decoding went: forwards a sample, and acceptance by position.

    acceptance[j] is the share of committing steps that committed more than j tokens: for drafts, the chance
    that the draft's position j was accepted (position 0 always is).
    """
    counts = [count for sample in samples for count in Counter(sample.commit_step).values()]
    longest = min(max(counts, default=0), 64)
    median, low, high = spread([float(sample.forwards) for sample in samples if sample.forwards])
    return {
        "forwards_per_sample_median": median,
        "forwards_per_sample_p5_p95": [low, high],
        "acceptance": [round(sum(c > j for c in counts) / len(counts), 4) for j in range(longest)],
    }

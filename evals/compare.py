"""Two runs on the same tasks: what flipped, whether that may be chance, and how fast each was."""

from __future__ import annotations

from typing import Any

from agent.stats import mcnemar, paired_bootstrap
from evals.errors import UsageError
from evals.rundir import RunFolder
from evals.sample import scored_from_row


def compare_runs(a: RunFolder, b: RunFolder) -> dict[str, Any]:
    """Pairs tasks that both runs judged. Raises UsageError when there are none or the benchmarks differ."""
    config_a, config_b = a.config, b.config
    if config_a["benchmark"] != config_b["benchmark"]:
        raise UsageError(f"cannot compare {config_a['benchmark']} with {config_b['benchmark']}")
    rates_a, rates_b = _pass_rates(a), _pass_rates(b)
    shared = [task for task in config_a["tasks"] if task in rates_a and task in rates_b]
    if not shared:
        raise UsageError("the runs share no judged task")
    values_a, values_b = [rates_a[t] for t in shared], [rates_b[t] for t in shared]
    lost = [t for t in shared if rates_a[t] == 1 and rates_b[t] == 0]
    won = [t for t in shared if rates_a[t] == 0 and rates_b[t] == 1]
    paired = paired_bootstrap(values_a, values_b)
    single = all(rate in (0.0, 1.0) for rate in (*values_a, *values_b))
    return {
        "benchmark": config_a["benchmark"],
        "same_data": config_a["version"] == config_b["version"],
        "n_tasks": len(shared),
        "left_out": sorted({*rates_a} ^ {*rates_b}),
        "a": {"pass": sum(values_a) / len(shared), **_speed(a)},
        "b": {"pass": sum(values_b) / len(shared), **_speed(b)},
        "difference": paired.difference,
        "ci95": list(paired.ci95),
        "p_bootstrap": paired.p,
        # McNemar's test is about yes or no a task; with several samples a task the bootstrap is the one to
        # read.
        "p_mcnemar": mcnemar(len(lost), len(won)) if single else None,
        "won": won,
        "lost": lost,
        "speed_ratio": _ratio(_speed(b)["tok_s"], _speed(a)["tok_s"]),
        "tpf_ratio": _ratio(_speed(b)["tpf"], _speed(a)["tpf"]),
        "settings": {
            key: [config_a["settings"].get(key), config_b["settings"].get(key)]
            for key in {**config_a["settings"], **config_b["settings"]}
            if config_a["settings"].get(key) != config_b["settings"].get(key)
        },
    }


def _pass_rates(folder: RunFolder) -> dict[str, float]:
    """Share of a task's samples that passed; infrastructure failures do not count."""
    flags: dict[str, list[bool]] = {}
    for row in folder.verdicts().values():
        scored = scored_from_row(row)
        if not scored.infra:
            flags.setdefault(row["task_id"], []).append(scored.ok)
    return {task: sum(values) / len(values) for task, values in flags.items()}


def _speed(folder: RunFolder) -> dict[str, float]:
    from evals.summary import summarise

    summary = summarise(folder)
    return {"tpf": summary["tpf"], "tok_s": summary["tok_s"]}


def _ratio(value: float, beside: float) -> float | None:
    return round(value / beside, 4) if beside and value else None

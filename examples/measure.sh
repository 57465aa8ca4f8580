#!/usr/bin/env bash
# Runs every example in a fresh copy, greedy first answers, and prints a line each.
# usage: examples/measure.sh [MODEL] [more flags of `agent run`]; the JSON objects go to runs/examples/
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-qwen2.5-coder-0.5b}
shift || true
agent=agent; [ -x .venv/bin/agent ] && agent=.venv/bin/agent
python=python3; [ -x .venv/bin/python ] && python=.venv/bin/python
out=runs/examples; mkdir -p "$out"
for task in examples/*/task.md; do
    name=$(basename "$(dirname "$task")")
    scratch=$(mktemp -d); copy=$scratch/$name; mkdir "$copy"
    cp -r "examples/$name/." "$copy"
    "$agent" run "$copy/task.md" --model "$model" --output json "$@" > "$out/$name.json" || true
    rm -rf "$scratch"
    "$python" - "$name" "$out/$name.json" <<'PY'
import json, sys

row = json.load(open(sys.argv[2]))
verdict = row["verdict"] or {"status": "-", "passed": 0, "total": 0}
print(
    f"{sys.argv[1]:<15} {row['status']:<9} {verdict['status']:<14} {verdict['passed']}/{verdict['total']:<4}"
    f" calls {row['steps']:<2} repairs {row['repairs']} tokens {row['tokens']:<4} {row['wall_s'] or 0:6.1f} s",
    flush=True,
)
PY
done

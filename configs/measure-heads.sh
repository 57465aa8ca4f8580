#!/usr/bin/env bash
# All that the docs and the model card say of trained heads, measured on every GPU of a machine at once.
#   configs/measure-heads.sh          the pieces below in their order, each on the first GPU that is free
#   configs/measure-heads.sh score    verdicts, pass@1 and the curve of the answers that lie there
#   configs/measure-heads.sh PIECE    one piece, here
# A piece leaves PIECE.json, PIECE.log and its answers in runs/heads/measured (RESULTS). One whose .json is there is not
# done again; one that was stopped goes on with the answers that it has, so a killed call is called again.
# Measuring needs no sandbox, `score` needs one and no GPU: from a GPU machine without one, bring that folder, call it.
# Prompts and answers are those of configs/train-heads.sh (runs/heads). HEADS: which (else the newest in runs/heads,
# else the shipped ones) and BASE (qwen2.5-coder-0.5b). PIECES: only these. SECONDS_AT_MOST: of all together. LIMIT: so
# many tasks of each set, and the smallest figures, as a trial on a CPU (BASE=tiny is a random model).
# DATA: HumanEvalPlus.jsonl.gz, where evalplus keeps none. HVM: a folder with bin/{bend,hvm}, for `property`, which
# needs a sandbox too (TRIHEAD_BWRAP: a bubblewrap that was brought along).
# MODEL, EVALS, VERIFY: how to call them.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/.."
model=${MODEL:-.venv/bin/model} evals=${EVALS:-.venv/bin/evals} verify=${VERIFY:-.venv/bin/verify}
data=runs/heads base=${BASE:-qwen2.5-coder-0.5b}
out=${RESULTS:-$data/measured${LIMIT:+-limit$LIMIT}}
heads=${HEADS:-}
for folder in "$data/more/heads" "$data/run/heads" "heads/$base"; do
    [ -n "$heads" ] || [ ! -d "$folder" ] || heads=$folder
done
[ -z "${DATA:-}" ] || export HUMANEVAL_OVERRIDE_PATH=$DATA
few=(${LIMIT:+--limit "$LIMIT"}) tasks=(${LIMIT:+--limit "$LIMIT" --max-tokens 64}) quick=(${LIMIT:+--quick})
fewest=(${LIMIT:+--prompts "$LIMIT" --tokens 12})
# Seconds that each may take, small ones first.
declare -A limits=(
    [selfcheck]=200 [figures-he-chat-1]=120 [figures-he-chat-0]=120 [bench-width]=120 [property]=150 [answers-ar]=120
    [restore]=120 [figures-he-raw-1]=120 [bench-fused]=200 [figures-held-out-1]=120 [figures-he-raw-0]=120
    [bench-generate]=200 [answers-verified]=200 [answers-auto]=200 [answers-diffusion]=250 [decoders-0]=400
    [decoders-0.7]=400 [curve-32]=500 [curve-16]=500
)
order="selfcheck figures-he-chat-1 figures-he-chat-0 bench-width property answers-ar restore figures-he-raw-1
    bench-fused figures-held-out-1 figures-he-raw-0 bench-generate answers-verified answers-auto answers-diffusion
    decoders-0 decoders-0.7 curve-32 curve-16"

keep() { # NAME COMMAND...: what it prints becomes NAME.json; exit code 1 is a result (a check or a row failed)
    local code=0 to=$out/$1.json
    shift
    "$@" >"$to.part" || code=$?
    if [ "$code" -le 1 ] && [ -s "$to.part" ]; then mv "$to.part" "$to"; fi
    return "$code"
}

answered() { # SET SHARE: the file of a set's answers, made when absent; all greedy (1) or all sampled at 0.7 (0)
    trap 'exit 130' INT # a subshell; and what was stopped keeps what it has, which is not all
    local file=$data/$1-greedy$2.npz
    [ -z "${LIMIT:-}" ] && [ -e "$file" ] || file=$out/$1-greedy$2.npz
    if [ ! -e "$file" ]; then
        local part=${file%.npz}.part$$.npz # two pieces may want it at once
        $model data answer "$data/$1.npz" --out "$part" --greedy-share "$2" --max-tokens 512 \
            --base "$base" --slots "${LIMIT:-256}" --no-compile "${tasks[@]}" >&2
        mv "$part" "$file"
    fi
    echo "$file"
}

piece() {
    local set=${1#*-} file
    case $1 in
        selfcheck) keep "$1" $model selfcheck --model "$base" --heads "$heads" --json "${fewest[@]}" ;;
        figures-*)
            file=$(answered "${set%-*}" "${set##*-}")
            keep "$1" $model acceptance "$heads" "$file" --base "$base" --block 16 --block 32 --json "${few[@]}"
            ;;
        restore) # the same task at every temperature
            file=$(answered he-chat 1)
            keep "$1" $model restore "$heads" "$file" --base "$base" --json "${few[@]}"
            ;;
        bench-width)
            keep "$1" $model bench --only width --model "$base" --heads "$heads" --plot "$out/width.png" --json \
                "${quick[@]}"
            ;;
        bench-fused) keep "$1" $model bench --only fused --model "$base" --heads "$heads" --json "${quick[@]}" ;;
        bench-generate) keep "$1" $model bench --only generate,compiled --model "$base" --json "${quick[@]}" ;;
        property)
            if [ -n "${HVM:-}" ]; then
                PATH=$(realpath "$HVM")/bin:$PATH
                export TRIHEAD_HOME=/nonexistent # bend and hvm are taken from PATH then
            fi
            command -v hvm >/dev/null || { echo "no hvm here: set HVM" >&2; exit 3; }
            keep "$1" $verify bench --property --gpu --json ${LIMIT:+--cases-log2 4}
            ;;
        answers-*)
            keep "$1" $evals run humaneval humaneval+ --decode "$set" --model "$base" --heads "$heads" \
                --out "$out/$1" --resume --no-score --json "${tasks[@]}"
            ;;
        decoders-*)
            keep "$1" $evals bench --decoders ar,verified,lookup,diffusion --benchmark humaneval+ --model "$base" \
                --heads "$heads" --temperature "$set" --out "$out/$1" --resume --no-score --json "${tasks[@]}"
            ;;
        curve-*)
            keep "$1" $evals run humaneval+ --decode diffusion --block "$set" --model "$base" --heads "$heads" \
                --sweep threshold=0.03,0.1,0.3,0.6,1 --out "$out/$1" --resume --no-score --json "${tasks[@]}"
            ;;
    esac
}

worker() { # GPU ('' : none): take what nobody has taken
    local name at code left child=
    trap 'kill -INT $child 2>/dev/null; wait; exit 130' INT TERM
    [ -z "$1" ] || export CUDA_VISIBLE_DEVICES=$1
    for name in ${PIECES:-$order}; do
        [ ! -e "$out/$name.json" ] && mkdir "$out/taken/$name" 2>/dev/null || continue
        at=$SECONDS left=${limits[$name]}
        if [ "${SECONDS_AT_MOST:-0}" -gt 0 ]; then
            left=$((SECONDS_AT_MOST - SECONDS < left ? SECONDS_AT_MOST - SECONDS : left))
            [ "$left" -gt 5 ] || { echo "$name: no time left"; continue; }
        fi
        code=0
        timeout --signal INT --kill-after 15 "$left" bash "$self" "$name" >>"$out/$name.log" 2>&1 &
        child=$!
        wait "$child" || code=$?
        echo "$name: exit code $code, $((SECONDS - at)) s${1:+, GPU $1}: $(tail -n 1 "$out/$name.log" | cut -c1-120)"
    done
}

all() {
    local gpus name
    if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
        IFS=, read -ra gpus <<<"$CUDA_VISIBLE_DEVICES"
    else
        mapfile -t gpus < <(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null)
    fi
    [ "${#gpus[@]}" -gt 0 ] || gpus=("")
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((($(nproc) + ${#gpus[@]} - 1) / ${#gpus[@]}))}
    rm -rf "$out/taken"
    mkdir -p "$out/taken"
    echo "heads $heads, ${#gpus[@]} at once, results in $out"
    trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM
    for name in "${gpus[@]}"; do worker "$name" & done
    wait
    for name in ${PIECES:-$order}; do
        [ -e "$out/$name.json" ] || { echo "not all are done: call again" >&2; exit 3; }
    done
}

score() {
    local run
    : >"$out/score.jsonl.part"
    while read -r run; do
        $evals score "$(dirname "$run")" --json >>"$out/score.jsonl.part"
    done < <(find "$out" -name config.json | sort)
    mv "$out/score.jsonl.part" "$out/score.jsonl"
    shopt -s nullglob
    local curves=("$out"/curve-*/ "$out"/answers-*/humaneval+)
    $evals curve "${curves[@]}" --output "$out/curve.png" --json >"$out/curve.json"
    echo "$(wc -l <"$out/score.jsonl") runs judged: $out/score.jsonl, curve.json, curve.png"
}

name=${1:-all}
mkdir -p "$out"
case $name in
    all | score) "$name" ;;
    *)
        [ -n "${limits[$name]:-}" ] || { sed -n '2,14s/^# \{0,1\}//p' "$self" >&2; exit 2; }
        trap 'exit 130' INT # after the command that it ended, not before the next one
        piece "$name"
        ;;
esac

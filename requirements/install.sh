#!/usr/bin/env bash
# Make or refresh the environment in .venv from the pinned, hashed set. Safe to repeat.
#   requirements/install.sh [dev|base|vllm]      (default dev: everything `make demo` and `make test` need)
# Needs Python 3.11 or newer and the package registry; brings its own uv into .uv when there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
set_name=${1:-dev}
pins=requirements/$set_name.txt
uv_version=0.13.9

[ -f "$pins" ] || { echo "no such requirement set: $set_name (there are: base, dev, vllm)" >&2; exit 2; }

find_python() {
    for candidate in python3.11 python3.12 python3.13 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "Trihead needs Python 3.11 or newer: install python3 (Debian: apt-get install python3 python3-venv)" >&2
    exit 2
}

find_uv() {
    if command -v uv >/dev/null 2>&1; then
        command -v uv
        return
    fi
    if [ ! -x .uv/bin/uv ]; then
        rm -rf .uv
        "$1" -m venv .uv >/dev/null 2>&1 || {
            echo "cannot make a virtual environment: install the venv module (Debian: apt-get install python3-venv)" >&2
            exit 2
        }
        .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >&2
    fi
    echo .uv/bin/uv
}

python=$(find_python)
wanted=$(cat "$pins" pyproject.toml | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/python ] && [ "$(cat .venv/.pins 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
uv=$(find_uv "$python")
# Written before the install starts: a half-made environment must not look finished to the next call.
rm -f .venv/.pins
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
echo "installing $(grep -c '==' "$pins") pinned packages into .venv (torch is large: a minute or two on a first run)"
# One retry: registries drop a connection now and then (uv continues from its cache), and behind a proxy only the
# system's certificate store knows the registry.
export VIRTUAL_ENV=.venv
"$uv" pip install --quiet --require-hashes -r "$pins" || {
    echo "retrying with the system's certificates" >&2
    export UV_SYSTEM_CERTS=1
    "$uv" pip install --quiet --require-hashes -r "$pins"
}
"$uv" pip install --quiet --no-deps --editable .
echo "$wanted" > .venv/.pins

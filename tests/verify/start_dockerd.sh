#!/usr/bin/env bash
# Start a Docker daemon for the tests where none runs (needs root and dockerd), and build the Python image.
# usage: tests/verify/start_dockerd.sh [python]     exit 0 when the daemon answers and the image is there
set -euo pipefail
python=${1:-python}
log=${TMPDIR:-/tmp}/trihead-dockerd.log
if ! docker info >/dev/null 2>&1; then
    command -v dockerd >/dev/null || { echo "no dockerd: apt-get install docker.io" >&2; exit 5; }
    # no bridge and no iptables: checks run with --network none anyway, and CI machines often lack the modules
    setsid dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=overlay2 \
        >"$log" 2>&1 </dev/null &
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && break
        sleep 0.5
    done
    docker info >/dev/null 2>&1 || { tail -5 "$log" >&2; exit 5; }
fi
exec "$python" -m verify.cli install python-image

#!/usr/bin/env bash
# Write requirements/*.txt: exact versions and hashes for every platform. Needs uv on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "lock.sh needs uv: python3 -m pip install uv" >&2; exit 1; }

lock() {
    local out=requirements/$1.txt
    shift
    uv pip compile pyproject.toml "$@" --universal --python-version 3.11 --generate-hashes --quiet \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file "$out"
}
lock demo --extra demo --group build
lock dev --extra demo --group dev

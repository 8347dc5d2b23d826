#!/usr/bin/env bash
# Make .venv from a lock file and install the project into it.
#   scripts/setup_venv.sh demo|dev
# demo: what the demonstration needs; dev: also the tools of `make test` and `make lint`.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?demo or dev}
lock=requirements/$kind.txt
venv=.venv
stamp=$venv/.installed-$kind

say() { printf '%s\n' "$*" >&2; }

# The stamp holds the digests of what was installed: nothing is done twice, a changed lock is noticed.
wanted=$(cat "$lock" pyproject.toml scripts/setup_venv.sh | sha256sum | cut -d' ' -f1)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$name"
            return
        fi
    done
    say "Tongzhou needs Python 3.11 or newer; this machine's python3 is ${1:-missing or older}."
    exit 1
}

make_venv() {
    # Debian ships venv without ensurepip; python3's own pip can then fill an environment that has none.
    if "$python" -m venv "$venv" >/dev/null 2>&1; then return; fi
    rm -rf "$venv"
    if "$python" -m venv --without-pip "$venv" >/dev/null 2>&1 && "$python" -m pip --version >/dev/null 2>&1; then return; fi
    rm -rf "$venv"
    local version
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "Python's venv is incomplete on this machine: apt-get install python${version}-venv, then try again."
    exit 1
}

install() {
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    else
        "$python" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check "$@"
    fi
}

python=$(find_python)
if [ ! -x "$venv/bin/python" ]; then
    say "making $venv ($kind) ..."
    make_venv
fi
say "installing $lock ..."
install --require-hashes --requirement "$lock"
# The build tools are in the lock too, so nothing unpinned is fetched for building ourselves.
install --no-deps --no-build-isolation --editable .
echo "$wanted" >"$stamp"

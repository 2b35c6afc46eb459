#!/bin/sh
# Makes .venv as requirements.lock says. All it asks for is Python 3.11 or later with pip; uv is fetched if it is not here.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null 2>&1; then
    say "$python is not here: install Python 3.11 or later, or name one with PYTHON=/path/to/python3"
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "$("$python" --version) is too old: Python 3.11 or later is needed; name one with PYTHON=/path/to/python3.11"
    exit 1
fi

tools=.data/tools
uv=$(command -v uv || true)
if [ -z "$uv" ] || ! "$uv" --version >/dev/null 2>&1; then
    uv=$tools/bin/uv
fi
if [ ! -x "$uv" ] && ! command -v "$uv" >/dev/null 2>&1; then
    say "fetching uv"
    mkdir -p "$tools"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$tools/venv"
        pip="$tools/venv/bin/python -m pip"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        pip="$python -m pip"
    else
        say "Python has neither pip nor venv: install them (Debian, Ubuntu: apt install python3-venv) and try again"
        exit 1
    fi
    if ! $pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --target "$tools/uv" --upgrade -r deploy/stack/uv.lock; then
        say "uv could not be fetched from the package index: check the connection (or pip's settings) and try again"
        exit 1
    fi
    mkdir -p "$tools/bin"
    ln -sf ../uv/bin/uv "$uv"
fi

# A Python compiled on this machine (pyenv, for one) mostly lacks profile-guided optimisation, and takes half as long again
# for the same work as the distribution's own. Where both are here and nothing was asked for, the distribution's is taken.
plain='import sys, sysconfig; sys.exit("--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""))'
own=/usr/bin/python3
if [ -z "${PYTHON:-}" ] && [ -x "$own" ] && "$python" -c "$plain" && "$own" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$own
fi

if [ ! -x .venv/bin/python ]; then
    "$uv" venv --quiet --allow-existing --python "$python" .venv
fi
if ! "$uv" pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock; then
    say "the Python packages of requirements.lock could not be installed: check the connection and try again"
    exit 1
fi

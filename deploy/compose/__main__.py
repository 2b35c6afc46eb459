"""`python3 -m deploy.compose` makes a password or key for each secret that docker-compose.yml asks for.

Variables go to .env, files to the folder .secrets. What is there already stays as it is, so running it again changes
nothing. Needs nothing but Python.
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
    lines = [line.partition("=") for line in known.splitlines() if not line.lstrip().startswith("#")]
    there = {name.strip(): value.strip() for name, _, value in lines}
    # An older installation hashed logins with its key of tokens; under another key nobody finds their own reports.
    kept = {"CASEGRID_PSEUDONYM_KEY": there["CASEGRID_JWT_KEY"]} if "CASEGRID_JWT_KEY" in there else {}
    return [f"{name}={kept.get(name) or secrets.token_urlsafe(32)}" for name in required(compose) if name not in there]


def files(compose: str) -> list[str]:
    """The paths of the files that the compose file mounts as secrets."""
    return sorted(set(re.findall(r"file: \./(\.secrets/[\w-]+)$", compose, re.MULTILINE)))


def main(folder: Path) -> None:
    """Completes .env and .secrets in that folder; only its owner may read them."""
    compose = (ROOT / "docker-compose.yml").read_text()
    _complete_variables(folder, compose)
    _complete_files(folder, compose)


def _complete_variables(folder: Path, compose: str) -> None:
    path = folder / ".env"
    known = path.read_text() if path.exists() else ""
    added = missing(compose, known)
    separator = "\n" if known and not known.endswith("\n") else ""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        file.write(separator + "".join(f"{line}\n" for line in added))
    print(f"{path}: {len(added)} secrets added" if added else f"{path}: complete")


def _complete_files(folder: Path, compose: str) -> None:
    """A file is mounted with the rights it has here, and containers run as users of their own: so everybody may read a
    file, and nobody but the owner may enter the folder.
    """
    (folder / ".secrets").mkdir(mode=0o700, exist_ok=True)
    added = [folder / name for name in files(compose) if not (folder / name).exists()]
    for path in added:
        path.write_text(secrets.token_urlsafe(32))  # without a line's end, which Kafka would take for a part of it
        path.chmod(0o644)
    print(f"{folder / '.secrets'}: {len(added)} secrets added" if added else f"{folder / '.secrets'}: complete")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="deploy.compose", description=__doc__).parse_args()
    main(ROOT)

"""Passwords and keys of one stack: generated once, kept in .data/run/secrets.json for their owner only."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.stack.plan import SERVICES

FILE = "secrets.json"


@dataclass(frozen=True)
class Secrets:
    jwt_key: str
    """Signs the stack's development tokens (HS256)."""
    postgres: Mapping[str, str]
    """Role -> password: `postgres` and one per service."""


def load(run: Path) -> Secrets:
    """What the stack in that folder uses; what is missing is generated."""
    path = run / FILE
    known: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    complete = Secrets(
        jwt_key=known.get("jwt_key") or secrets.token_urlsafe(32),
        postgres={name: secrets.token_urlsafe(18) for name in ("postgres", *SERVICES)} | known.get("postgres", {}),
    )
    if asdict(complete) != known:
        write_private(path, asdict(complete))
    return complete


def write_private(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    partial.replace(path)

"""Passwords and keys of one stack: generated once, kept in .data/run/secrets.json for their owner only."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.stack.plan import SERVICES

FILE = "secrets.json"
CLIENT_KEYS = "client_keys.json"


@dataclass(frozen=True)
class Secrets:
    jwt_key: str
    """Signs the stack's development tokens (HS256)."""
    postgres: Mapping[str, str]
    """Role -> password: `postgres` and one per service."""
    client_keys: Mapping[str, str]
    """Partner -> its key in clear, for the programs that play the partners."""


def load(run: Path, partners: Iterable[Mapping[str, Any]] = ()) -> Secrets:
    """What the stack in that folder uses; what is missing is generated. Writes the services' client_keys.json, too."""
    path = run / FILE
    known: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    partners = list(partners)
    complete = Secrets(
        jwt_key=known.get("jwt_key") or secrets.token_urlsafe(32),
        postgres={name: secrets.token_urlsafe(18) for name in ("postgres", *SERVICES)} | known.get("postgres", {}),
        client_keys={partner["id"]: secrets.token_urlsafe(24) for partner in partners} | known.get("client_keys", {}),
    )
    if asdict(complete) != known:
        _write_private(path, asdict(complete))
    if partners:
        _write_private(run / CLIENT_KEYS, client_keys(partners, complete.client_keys))
    return complete


def client_keys(partners: Iterable[Mapping[str, Any]], keys: Mapping[str, str]) -> dict[str, Any]:
    """What a service is told of the partners: the SHA-256 of the key -> who that is; never the key."""
    return {
        hashlib.sha256(keys[partner["id"]].encode()).hexdigest(): {
            "subject": f"partner:{partner['id']}",
            "source": partner["source"],
            "roles": ["partner"],
            "unit": next((unit for unit in partner["units"] if unit != "*"), None),
        }
        for partner in partners
    }


def _write_private(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    partial.replace(path)

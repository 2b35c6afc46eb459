"""Passwords and keys of one stack: generated once, kept in .data/run/secrets.json for their owner only.

The broker's lie in files of their own as well, each under its user's name: so broker and services read them. Beside
them lies the key set with the public half of the key of tokens, which is all of it that the services get.
"""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.stack.plan import SERVICES
from deploy.stack.problem import Problem
from deploy.stack.token import key_set

FILE = "secrets.json"
BROKER_ADMIN = "admin"


@dataclass(frozen=True)
class Secrets:
    token_key: str
    """Signs the stack's development tokens: the private key (Ed25519), in base64url."""
    pseudonym_key: str
    """Hashes the logins of private persons."""
    postgres: Mapping[str, str]
    """Role -> password: `postgres` and one per service."""
    kafka: Mapping[str, str]
    """User -> password: `admin` and one per service. Those of partners are kept nowhere."""


def load(run: Path) -> Secrets:
    """What the stack in that folder uses; what is missing is generated. Raises `Problem` where that would be wrong."""
    path = run / FILE
    known: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    if "postgres" not in known.get("postgres", {}) and (cluster := run.parent / "postgres").exists():
        raise Problem(
            f"{path} lacks the password of the database's administrator, with which {cluster} was made: put the file"
            " back from a backup; `make reset` would drop the data and make all of it anew"
        )
    complete = Secrets(
        token_key=known.get("token_key") or secrets.token_urlsafe(32),
        # An older stack hashed logins with its shared key of tokens; under another key nobody finds their own reports.
        pseudonym_key=known.get("pseudonym_key") or known.get("jwt_key") or secrets.token_urlsafe(32),
        kafka=_passwords((BROKER_ADMIN, *SERVICES), known.get("kafka", {})),
        postgres=_passwords(("postgres", *SERVICES), known.get("postgres", {})),
    )
    if asdict(complete) != known:
        write_private(path, asdict(complete))
    for name, password in complete.kafka.items():  # without a line's end, which Kafka would take for a part of it
        _complete(passwords_folder(run) / name, password)
    _complete(keys_file(run), key_set(complete.token_key))
    return complete


def renew_broker(run: Path) -> Secrets:
    """Makes new passwords of the broker's administrator and of the services there, and leaves all else as it is.

    Raises `Problem`.
    """
    write_private(run / FILE, {**asdict(load(run)), "kafka": {}})
    return load(run)


def keys_file(run: Path) -> Path:
    """The key set by which the services verify the stack's tokens."""
    return run / "keys.json"


def _complete(file: Path, text: str) -> None:
    if not file.exists() or file.read_text() != text:
        write_text_privately(file, text)


def passwords_folder(run: Path) -> Path:
    """Holds a file for each user of the broker, and nothing else."""
    return run / "kafka-passwords"


def _passwords(names: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    return {name: secrets.token_urlsafe(18) for name in names} | dict(known)


def write_private(path: Path, value: Any) -> None:
    write_text_privately(path, json.dumps(value, indent=2) + "\n")


def write_text_privately(path: Path, text: str) -> None:
    """Puts a file in place as a whole, which its owner alone may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)

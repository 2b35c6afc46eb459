"""Passwords and keys of one stack: generated once, kept in .data/run/secrets.json for their owner only.

The broker's lie in files of their own as well, each under its user's name: so broker and services read them. Beside
them lies the key set with the public half of the key of tokens, which is all of it that the services get.
"""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from deploy.stack.plan import SERVICES
from deploy.stack.postgres import ADMIN, existing_data
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


def load(run: Path, *, complete: bool = True) -> Secrets:
    """What the stack in that folder uses.

    What is missing is generated and written; `complete=False` writes nothing, for a look must not hide what is lost.
    Raises `Problem` where something is missing then, where a file can't be used, or where generating would be wrong.
    """
    path = run / FILE
    known = _known(path)
    if not complete:
        if missing := _missing(known):
            raise Problem(
                f"{path} lacks {', '.join(missing)}: `make up` makes what a new stack or a new version needs,"
                " and what was lost comes from a backup"
            )
        return Secrets(**{field.name: known[field.name] for field in fields(Secrets)})
    _refuse_to_invent(run, known)
    made = Secrets(
        token_key=known.get("token_key") or secrets.token_urlsafe(32),
        # An older stack hashed logins with its shared key of tokens; under another key nobody finds their own reports.
        pseudonym_key=known.get("pseudonym_key") or known.get("jwt_key") or secrets.token_urlsafe(32),
        kafka=_passwords((BROKER_ADMIN, *SERVICES), known.get("kafka", {})),
        postgres=_passwords((ADMIN, *SERVICES), known.get("postgres", {})),
    )
    if asdict(made) != known:
        write_private(path, asdict(made))
    for name, password in made.kafka.items():  # without a line's end, which Kafka would take for a part of it
        _complete(passwords_folder(run) / name, password)
    _complete(keys_file(run), key_set(made.token_key))
    return made


def _known(path: Path) -> dict[str, Any]:
    """What is in the file, as far as it goes; nothing where there is none. Raises `Problem`."""
    try:
        known = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as fault:
        raise Problem(f"{path} can't be used: {unread(fault)}: put it back from a backup") from None
    kinds = {"token_key": str, "pseudonym_key": str, "jwt_key": str, "postgres": dict, "kafka": dict}
    if not isinstance(known, dict) or not all(
        isinstance(known.get(name, kind()), kind) for name, kind in kinds.items()
    ):
        raise Problem(f"{path} can't be used: it is not what `make up` wrote: put it back from a backup")
    return known


def _missing(known: Mapping[str, Any]) -> list[str]:
    users = {"postgres": {ADMIN, *SERVICES}, "kafka": {BROKER_ADMIN, *SERVICES}}
    passwords = [name for name, wanted in users.items() if wanted - known.get(name, {}).keys()]
    return [*(name for name in ("token_key", "pseudonym_key") if not known.get(name)), *passwords]


def _refuse_to_invent(run: Path, known: Mapping[str, Any]) -> None:
    """Raises `Problem` where something is lost that must be as it was."""
    lost, path = "put the file back from a backup", run / FILE
    if ADMIN not in known.get("postgres", {}) and (cluster := existing_data(run.parent / "postgres")):
        raise Problem(
            f"{path} lacks the password of the database's administrator, with which {cluster} was made: {lost};"
            " `make reset` would drop the data and make all of it anew"
        )
    used = path.exists() or keys_file(run).exists() or passwords_folder(run).exists()
    if used and not known.get("pseudonym_key") and not known.get("jwt_key"):
        raise Problem(
            f"{path} lacks the key of pseudonyms, and under another one private persons do not find their own reports:"
            f" {lost}; `make reset` would drop the data and make all of it anew"
        )


def unread(fault: Exception) -> str:
    """Why a file could not be used, without what is in it."""
    return (fault.strerror if isinstance(fault, OSError) else None) or "it is not what `make up` wrote"


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
    try:
        there = file.read_bytes()
    except OSError:  # what stands in the way is named by whoever writes
        there = None
    if there != text.encode():
        write_text_privately(file, text)


def passwords_folder(run: Path) -> Path:
    """Holds a file for each user of the broker, and nothing else."""
    return run / "kafka-passwords"


def _passwords(names: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    return {name: secrets.token_urlsafe(18) for name in names} | dict(known)


def write_private(path: Path, value: Any) -> None:
    write_text_privately(path, json.dumps(value, indent=2) + "\n")


def write_text_privately(path: Path, text: str) -> None:
    """Puts a file in place as a whole, which its owner alone may read. Raises `Problem`."""
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        partial.replace(path)
    except OSError as fault:
        raise Problem(f"{path} can't be written: {fault.strerror}") from None

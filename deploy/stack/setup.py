"""What containers need before the services start: topics, users and access rules on the broker, the five schemas with
their roles, the reference district.

Reads its environment and the file of partners. Passwords lie in files: the database administrator's in
`DATABASE_PASSWORD_FILE`, those of the services' roles in the folder `DATABASE_PASSWORDS`, each called like the service;
where the broker has users, theirs in `KAFKA_PASSWORDS`. `CASEGRID_TOKEN_KEY_FILE` holds the private key of development
tokens; its public half goes to `keys.json` beside the district. Writes into that folder only. Safe to run again.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deploy import partners
from deploy.district.__main__ import main as write_district
from deploy.stack import accounts, kafka, postgres, provision, topics
from deploy.stack.plan import DATABASE, SERVICES, broker_of
from deploy.stack.problem import Problem
from deploy.stack.token import key_set, read_token_key

_SECONDS = 60


async def setup(environment: Mapping[str, str] = os.environ) -> None:
    """Waits for broker and database, then makes what is missing. Raises `Problem` that names a variable or a server."""
    database_url = _database_url(environment)
    _required(environment, "KAFKA_BOOTSTRAP_SERVERS")
    broker = broker_of(environment)
    assert broker is not None
    district = Path(_required(environment, "CASEGRID_DISTRICT"))
    passwords = {name: _password(environment, "DATABASE_PASSWORDS", name) for name in SERVICES}
    registered = partners.read(Path(environment.get("CASEGRID_PARTNERS") or district.parent / "partners.json"))
    prefix = environment.get("CASEGRID_TOPIC_PREFIX", "")
    wanted = topics.of_installation(registered.by_id, prefix)
    users = {name: _password(environment, "KAFKA_PASSWORDS", name) for name in SERVICES} if broker.names_user else {}
    await kafka.answering(broker, _SECONDS)
    await topics.create(broker, wanted, int(environment.get("CASEGRID_PARTITIONS", "6")))
    print(f"topics: {', '.join(wanted)}")
    for partner in await accounts.settle(broker, prefix, registered.registered, users):
        print(f"the partner {partner} has no user on this broker: `python -m deploy.partners add {partner}` makes one")
    await postgres.answering(database_url, _SECONDS)
    migrated = await provision.database(database_url, passwords)
    applied = [f"{name}: {', '.join(one.applied)}" for name, one in migrated.items() if one.applied]
    print(f"migrations applied: {'; '.join(applied) or 'none, all are there'}")
    if write_district(["--scale", environment.get("DISTRICT_SCALE", "full"), "--out", str(district)]) != 0:
        raise Problem(f"the reference district could not be written to {district}")
    if file := environment.get("CASEGRID_TOKEN_KEY_FILE"):
        partial = district.parent / "keys.json.partial"
        partial.write_text(key_set(read_token_key(file)))
        partial.replace(district.parent / "keys.json")
    for name in (name for name, one in migrated.items() if one.rebuild):
        login = {
            "DATABASE_URL": provision.with_database(database_url, DATABASE, (name, None)),
            "DATABASE_PASSWORD_FILE": str(Path(environment["DATABASE_PASSWORDS"]) / name),
        }
        provision.rebuild(name, {**login, "CASEGRID_DISTRICT": str(district)})


def _database_url(environment: Mapping[str, str]) -> str:
    """The administrator's, with the password that its file holds."""
    url = _required(environment, "DATABASE_URL")
    if not environment.get("DATABASE_PASSWORD_FILE"):
        return url
    parts = urlsplit(url)
    login = (parts.username or "postgres", _read("DATABASE_PASSWORD_FILE", Path(environment["DATABASE_PASSWORD_FILE"])))
    return provision.with_database(url, parts.path.removeprefix("/"), login)


def _password(environment: Mapping[str, str], variable: str, name: str) -> str:
    return _read(variable, Path(_required(environment, variable)) / name)


def _read(variable: str, file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as fault:
        raise Problem(f"{variable}: {file} can't be read: {fault.strerror}") from None


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise Problem(f"{name} must be set")
    return value

"""What containers need before the services start: topics, the five schemas with their roles, the reference district.

Reads its environment and the file of partners, and writes into `CASEGRID_DISTRICT` only. Safe to run again.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from deploy import partners
from deploy.district.__main__ import main as write_district
from deploy.stack import kafka, postgres, provision, topics
from deploy.stack.plan import DATABASE, SERVICES
from deploy.stack.problem import Problem

_SECONDS = 60


async def setup(environment: Mapping[str, str] = os.environ) -> None:
    """Waits for broker and database, then makes what is missing. Raises `Problem` that names a variable or a server."""
    database_url = _required(environment, "DATABASE_URL")
    servers = _required(environment, "KAFKA_BOOTSTRAP_SERVERS")
    district = Path(_required(environment, "CASEGRID_DISTRICT"))
    passwords = {name: _required(environment, f"{name.upper()}_PASSWORD") for name in SERVICES}
    registered = partners.read(Path(environment.get("CASEGRID_PARTNERS") or district.parent / "partners.json"))
    wanted = topics.of_installation(registered.by_id, environment.get("CASEGRID_TOPIC_PREFIX", ""))
    await kafka.answering(servers, _SECONDS)
    await topics.create(servers, wanted, int(environment.get("CASEGRID_PARTITIONS", "6")))
    print(f"topics: {', '.join(wanted)}")
    await postgres.answering(database_url, _SECONDS)
    migrated = await provision.database(database_url, passwords)
    applied = [f"{name}: {', '.join(one.applied)}" for name, one in migrated.items() if one.applied]
    print(f"migrations applied: {'; '.join(applied) or 'none, all are there'}")
    if write_district(["--scale", environment.get("DISTRICT_SCALE", "full"), "--out", str(district)]) != 0:
        raise Problem(f"the reference district could not be written to {district}")
    for name in (name for name, one in migrated.items() if one.rebuild):
        login = (name, passwords[name])
        url = provision.with_database(database_url, DATABASE, login)
        provision.rebuild(name, {"DATABASE_URL": url, "CASEGRID_DISTRICT": str(district)})


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise Problem(f"{name} must be set")
    return value

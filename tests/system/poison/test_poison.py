"""All poison on every topic while 500 cases run: each is named with its reason, and nothing else comes of it."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka.errors import KafkaError

from contracts.fields import TO
from contracts.reference import Partner
from deploy.bench.chain import PARTNER, UNIT
from deploy.stack import topics
from deploy.stack.kafka import Kafka
from deploy.stack.postgres import Postgres
from deploy.stack.provision import with_database
from tests.support.batches import put
from tests.support.services import eventually
from tests.system.bus import register
from tests.system.load import Load
from tests.system.poison.kinds import BATCHES, KINDS, LISTENER, TOPICS
from tests.system.test_exactly_once import installed

CASES = 500
PARTITIONS = 6
READERS = ("intake", "triage", "dispatch", "feedback")
Place = tuple[str, int, int]


def test_there_are_kinds_enough() -> None:
    assert len(KINDS) >= 60


@pytest.mark.timeout(420)
async def test_every_poison_is_named_and_every_case_is_closed(
    own_kafka: Kafka, own_postgres: Postgres, district: Path, tmp_path: Path
) -> None:
    fleet = await installed(own_kafka, own_postgres, district, tmp_path)
    await topics.create(own_kafka.administrator, topics.of_partner(LISTENER), 6)
    register(
        district,
        Partner(id=PARTNER, name="Bench", says=("reports", "steps"), units=(UNIT,)),
        Partner(id=LISTENER, name="Listener", says=("reports",)),
    )
    admin = with_database(own_postgres.url, "casegrid")
    async with fleet:
        await fleet.ready()
        load = Load(fleet, own_kafka.bootstrap, "", district)
        answering = asyncio.create_task(load.answer())
        filing = asyncio.create_task(load.file(CASES, pause=0.4))
        places = await lay_all(own_kafka.bootstrap)
        await filing
        await eventually(lambda: parked_and_named(admin, places), seconds=60, every=0.5, what="a reason for each")
        await eventually(lambda: whole(admin, load.acknowledged), seconds=120, every=0.5, what="all cases closed")
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await fleet.ready()
        assert fleet.ended == []
    assert len(load.acknowledged) == CASES
    connection = await asyncpg.connect(admin)
    try:
        reasons = await said(connection, places)
        for name in READERS:
            assert await connection.fetchval(f"SELECT count(*) FROM {name}.parked WHERE kind = 'failed'") == 0, name
    finally:
        await connection.close()
    wrong = {
        f"{name} on {place[0]}": reasons[place]
        for place, (name, reason) in places.items()
        if not re.search(reason, reasons[place])
    }
    assert wrong == {}


async def lay_all(kafka: str) -> dict[Place, tuple[str, str]]:
    """Lays each kind on each topic, in all of its partitions by turns; where it lies -> its name, and its reason.

    The broker looks into compressed batches, so it refuses some of the kinds itself.
    """
    places, refused = {}, set()
    for number, (name, (reason, make)) in enumerate(KINDS.items()):
        for topic in TOPICS:
            partition = number % PARTITIONS
            try:
                offset = await put(kafka, topic, partition, make(topic))
            except KafkaError:
                refused.add(name)
            else:
                places[topic, partition, offset] = name, reason
    assert refused <= BATCHES
    return places


async def said(connection: asyncpg.Connection, places: Iterable[Place]) -> dict[Place, str]:
    """Where poison lies -> why audit calls it invalid; where it is not yet, it is not."""
    rows = await connection.fetch('SELECT topic, partition, "offset", reason FROM audit.log WHERE NOT valid')
    found = {(row["topic"], row["partition"], row["offset"]): row["reason"] for row in rows}
    return {place: found[place] for place in places if place in found}


async def parked_and_named(admin: str, places: Mapping[Place, Any]) -> bool:
    """Whether audit has a reason for each, and where a service parks what is wrong on a topic, it has parked it."""
    connection = await asyncpg.connect(admin)
    try:
        parked = {
            tuple(row)
            for name in READERS
            for row in await connection.fetch(f'SELECT topic, partition, "offset" FROM {name}.parked')
        }
        missing = {place for place in places if not place[0].startswith((TO, "Progressed"))} - parked
        return not missing and len(await said(connection, places)) == len(places)
    finally:
        await connection.close()


async def whole(admin: str, cases: set[str]) -> bool:
    """Whether each of these cases has one fact of each kind, and is closed in every service that shows it."""
    connection = await asyncpg.connect(admin)
    try:
        done = await connection.fetchval(
            "SELECT count(*) FROM (SELECT case_id FROM audit.log WHERE valid AND case_id = ANY($1) AND topic = ANY($2)"
            " GROUP BY case_id HAVING count(*) = 4 AND count(DISTINCT topic) = 4) one",
            list(cases),
            ["ReportFiled", "Assigned", "Resolved", "Evaluated"],
        )
        unsent = [await connection.fetchval(f"SELECT count(*) FROM {name}.unpublished") for name in READERS]
        return done == len(cases) and not any(unsent)
    finally:
        await connection.close()

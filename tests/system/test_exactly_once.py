"""Every acknowledged report has exactly one complete chain, whatever dies on the way; all stores agree with audit."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts.homes import SENDS
from contracts.reference import Partner
from contracts.wire import TOPICS
from deploy.bench.chain import PARTNER, UNIT
from deploy.stack import topics
from deploy.stack.kafka import Kafka
from deploy.stack.postgres import Postgres
from deploy.stack.provision import with_database
from tests.support.dying import POINTS
from tests.support.fleet import SERVICES, Fleet
from tests.support.infrastructure import PASSWORD, execute, migrate_services
from tests.support.services import eventually
from tests.system.bus import register
from tests.system.load import Load, pause_for

REPORTS = 2000
FEWER = 400
READS = {
    "intake": "topic IN ('Assigned', 'Evaluated') OR topic = 'from.bench' AND kind = 'report'",
    "triage": "topic IN ('ReportFiled', 'Resolved', 'Evaluated')",
    "dispatch": "topic IN ('Assigned', 'Evaluated') OR topic = 'from.bench' AND kind IN ('acknowledge', 'resolve')",
    "feedback": "topic IN ('Assigned', 'Resolved')",
}
"""Service -> the records of audit's log that it must have taken in."""

Disturb = Callable[[Fleet, Kafka, Postgres, random.Random], Coroutine[Any, Any, None]]


async def kill_services(fleet: Fleet, kafka: Kafka, postgres: Postgres, chance: random.Random) -> None:
    victims = [*SERVICES, *SERVICES]
    chance.shuffle(victims)
    for victim in victims:
        await fleet.alive(victim)
        await pause_for(chance.uniform(0.0, 1.5))
        await fleet.kill(victim)
    assert min(fleet.deaths.values()) == 2


async def kill_broker(fleet: Fleet, kafka: Kafka, postgres: Postgres, chance: random.Random) -> None:
    await pause_for(chance.uniform(1.0, 3.0))
    await kafka.kill()
    await kafka.start()


async def kill_database(fleet: Fleet, kafka: Kafka, postgres: Postgres, chance: random.Random) -> None:
    await pause_for(chance.uniform(1.0, 3.0))
    await postgres.kill()
    await postgres.start()


@pytest.mark.timeout(420)
@pytest.mark.parametrize("disturb", [kill_services, kill_broker, kill_database])
async def test_every_acknowledged_report_has_one_complete_chain(
    disturb: Disturb, own_kafka: Kafka, own_postgres: Postgres, district: Path, tmp_path: Path
) -> None:
    chance = random.Random(20260509)
    fleet = await installed(own_kafka, own_postgres, district, tmp_path)
    async with fleet:
        await fleet.ready()
        disturbing = asyncio.create_task(disturb(fleet, own_kafka, own_postgres, chance))
        await assert_whole(fleet, own_kafka, own_postgres, district, REPORTS, disturbing)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", POINTS)
async def test_a_service_may_die_at_any_point_of_its_work(
    point: str, own_kafka: Kafka, own_postgres: Postgres, district: Path, tmp_path: Path
) -> None:
    """Every service that comes to this point dies there once, and is started again."""
    services, _ = POINTS[point]
    fleet = await installed(own_kafka, own_postgres, district, tmp_path)
    markers = {name: tmp_path / f"{name}.died" for name in services}
    fleet.programs |= {name: ("-m", "tests.support.dying", name, point, str(one)) for name, one in markers.items()}

    async def died() -> bool:
        return all(one.exists() for one in markers.values())

    async def all_have_died() -> None:
        await eventually(died, seconds=120, every=0.1, what=f"a death in {', '.join(services)}")

    async with fleet:
        await fleet.alive("intake")
        dying = asyncio.create_task(all_have_died())
        await assert_whole(fleet, own_kafka, own_postgres, district, FEWER, dying)


async def installed(kafka: Kafka, postgres: Postgres, district: Path, logs: Path) -> Fleet:
    """The five services, not started yet, with databases, topics, and the partner of the load."""
    await execute(postgres.url, "CREATE DATABASE casegrid")
    admin = with_database(postgres.url, "casegrid")
    await migrate_services(admin)
    await topics.create(kafka.administrator, TOPICS, 6)
    await topics.create(kafka.administrator, topics.of_partner(PARTNER), 6)
    register(district, Partner(id=PARTNER, name="Bench", says=("reports", "steps"), units=(UNIT,)))
    databases = {name: with_database(postgres.url, "casegrid", (name, PASSWORD)) for name in SERVICES}
    return Fleet(databases=databases, kafka=kafka.bootstrap, prefix="", district=district, logs=logs)


async def assert_whole(
    fleet: Fleet, kafka: Kafka, postgres: Postgres, district: Path, reports: int, disturbing: asyncio.Task[None]
) -> None:
    """So many reports are filed while something disturbs; what was acknowledged has one complete chain in the end."""
    admin = with_database(postgres.url, "casegrid")
    load = Load(fleet, kafka.bootstrap, "", district)
    answering = asyncio.create_task(load.answer())
    await load.file(reports, pause=0.05)
    await disturbing
    await fleet.ready()
    assert len(load.acknowledged) == reports
    await eventually(lambda: settled(admin, reports), seconds=120, every=0.5, what="all cases closed and audited")
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    assert load.refused == []
    connection = await asyncpg.connect(admin)
    try:
        await assert_one_chain_each(connection, load.acknowledged)
        await assert_stores_agree(connection)
        await assert_each_request_has_one_answer(connection)
        for name in READS:
            assert await connection.fetchval(f"SELECT count(*) FROM {name}.forgeries") == 0, name
    finally:
        await connection.close()


@dataclass(frozen=True)
class Open:
    """What is still on its way; true when nothing is."""

    points: dict[str, int]

    def __bool__(self) -> bool:
        return not any(self.points.values())


async def settled(admin: str, count: int) -> Open:
    """Whether audit has a verdict of `count` cases, and nothing is on its way any more."""
    connection = await asyncpg.connect(admin)
    try:
        closed = await connection.fetchval(
            "SELECT count(DISTINCT case_id) FROM audit.log WHERE topic = 'Evaluated' AND valid"
        )
        points = {"without a verdict": count - closed}
        for name, taken in READS.items():
            points[f"{name} unsent"] = await connection.fetchval(f"SELECT count(*) FROM {name}.unpublished")
            points[f"{name} parked"] = await connection.fetchval(
                f"SELECT count(*) FROM {name}.parked WHERE status = 'waiting'"
            )
            points[f"{name} not taken in"] = await connection.fetchval(
                f"SELECT count(*) FROM audit.log l WHERE ({taken}) AND NOT EXISTS"
                f" (SELECT FROM {name}.seen s WHERE s.source = l.source AND s.id = l.event_id) AND NOT EXISTS"
                f" (SELECT FROM {name}.events e WHERE e.stream_id = l.case_id AND e.event_id = l.event_id AND NOT own)"
            )
            points[f"{name} not judged"] = await connection.fetchval(
                f"SELECT count(*) FROM audit.log l WHERE topic = ANY($1) AND NOT EXISTS (SELECT FROM {name}.tail t"
                " WHERE (t.topic, t.partition) = (l.topic, l.partition) AND t.next > l.offset)",
                [topic.replace("*", PARTNER) for topic in SENDS[name]],
            )
        return Open(points)
    finally:
        await connection.close()


async def assert_one_chain_each(connection: asyncpg.Connection, acknowledged: set[str]) -> None:
    rows = await connection.fetch(
        "SELECT case_id, topic, count(DISTINCT (source, event_id)) AS events FROM audit.log GROUP BY case_id, topic"
    )
    chains: dict[str, dict[str, int]] = {}
    for row in rows:
        chains.setdefault(row["case_id"], {})[row["topic"]] = row["events"]
    assert set(chains) == acknowledged
    expected = {"ReportFiled": 1, "Assigned": 1, "Resolved": 1, "Evaluated": 1}
    odd = {case: chain for case, chain in chains.items() if {t: chain.get(t) for t in expected} != expected}
    assert odd == {}
    gaps = await connection.fetch(
        "SELECT case_id, source FROM audit.log WHERE source LIKE '/services/%' GROUP BY case_id, source"
        " HAVING max(sequence::bigint) <> count(DISTINCT event_id)"
    )
    assert gaps == []
    indexes = await connection.fetchrow(
        'SELECT min("index") AS first, max("index") AS last, count(*) AS n FROM audit.log'
    )
    assert indexes is not None
    assert (indexes["first"], indexes["last"]) == (0, indexes["n"] - 1)


async def assert_stores_agree(connection: asyncpg.Connection) -> None:
    """What a service published is what audit has of it, byte for byte; what it took in is what audit has, once each."""
    for name, read in READS.items():
        differ = await connection.fetch(
            f"SELECT event_id FROM (SELECT event_id, body FROM {name}.events WHERE own) o"
            " FULL JOIN (SELECT DISTINCT event_id, body FROM audit.log WHERE source = $1) a USING (event_id, body)"
            " WHERE o.event_id IS NULL OR a.event_id IS NULL",
            f"/services/{name}",
        )
        assert differ == [], name
        taken = await connection.fetch(
            f"SELECT event_id, n FROM (SELECT event_id, count(*) AS n FROM {name}.events WHERE NOT own GROUP BY 1) t"
            f" FULL JOIN (SELECT DISTINCT event_id FROM audit.log WHERE {read}) a USING (event_id)"
            " WHERE a.event_id IS NULL OR n IS DISTINCT FROM 1"
        )
        assert taken == [], name
        streams = await connection.fetchval(
            f"SELECT count(*) FROM {name}.streams s JOIN (SELECT stream_id, count(*) AS n, max(version) AS v,"
            f" count(*) FILTER (WHERE own) AS o FROM {name}.events GROUP BY 1) e USING (stream_id)"
            " WHERE s.version <> e.n OR s.version <> e.v OR s.sequence <> e.o"
        )
        assert streams == 0, name


async def assert_each_request_has_one_answer(connection: asyncpg.Connection) -> None:
    odd = await connection.fetch(
        "SELECT r.event_id, count(DISTINCT a.event_id) AS answers FROM audit.log r"
        " LEFT JOIN audit.log a ON a.answers = r.event_id AND a.topic LIKE 'to.%'"
        " WHERE r.topic LIKE 'from.%' GROUP BY r.event_id HAVING count(DISTINCT a.event_id) <> 1"
    )
    assert odd == []

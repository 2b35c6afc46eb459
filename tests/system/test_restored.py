"""An older backup of one service is restored: it knows again what it has said, and the chain goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from contracts.reference import Partner
from deploy.bench.chain import PARTNER, UNIT
from tests.support.fleet import SERVICES, Fleet
from tests.support.groups import read_again
from tests.support.infrastructure import Database as Urls
from tests.support.services import eventually, token
from tests.system.bus import register
from tests.system.load import Load
from tests.system.test_exactly_once import READS

REPORTS = 12
PARTITIONS = 3
AUDITOR = token("auditor", "auditor")


async def settled(databases: dict[str, Urls], count: int) -> bool:
    """Whether audit has a verdict of `count` cases, and everything said is in its log."""
    audit = await asyncpg.connect(databases["audit"].admin_url)
    try:
        closed = await audit.fetchval(
            "SELECT count(DISTINCT case_id) FROM audit.log WHERE topic = 'Evaluated' AND kind = 'closed'"
        )
    finally:
        await audit.close()
    for name in READS:
        store = await asyncpg.connect(databases[name].admin_url)
        try:
            if await store.fetchval(f"SELECT count(*) FROM {name}.unpublished"):
                return False
        finally:
            await store.close()
    return closed == count


@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", [*READS])
async def test_a_service_with_an_older_store_knows_again_what_it_has_said(
    victim: str,
    kafka: str,
    make_database: Callable[[str | None], Awaitable[Urls]],
    template_database: str,
    topic_prefix: str,
    make_topics: Any,
    district: Path,
    tmp_path: Path,
) -> None:
    topics = await make_topics(topic_prefix, PARTITIONS, partners=(PARTNER,))
    register(district, Partner(id=PARTNER, name="Bench", says=("reports", "steps"), units=(UNIT,)))
    stores = {name: await make_database(template_database) for name in SERVICES}
    fleet = Fleet(
        databases={name: one.url(name) for name, one in stores.items()},
        kafka=kafka,
        prefix=topic_prefix,
        district=district,
        logs=tmp_path,
    )
    async with fleet:
        await fleet.ready(seconds=120)
        load = Load(fleet, kafka, topic_prefix, district)
        answering = asyncio.create_task(load.answer())
        try:
            await load.file(REPORTS, pause=0.05)
            await eventually(lambda: settled(stores, REPORTS), seconds=120, every=0.5, what="the first cases closed")
            await fleet.stop(victim)
            older = await make_database(stores[victim].name)
            await fleet.start(victim)
            await fleet.ready(victim)
            await load.file(REPORTS, pause=0.05, begin=REPORTS)
            await eventually(lambda: settled(stores, 2 * REPORTS), seconds=120, every=0.5, what="the next cases closed")
            await fleet.stop(victim)
            before = await said(stores[victim], victim)
            stores[victim] = older
            fleet.databases[victim] = older.url(victim)
            await read_again(kafka, topic_prefix + victim, topics, PARTITIONS)
            await fleet.start(victim)
            await fleet.ready(victim, seconds=120)
            assert await said(older, victim) == before, "taken back, and nothing else said"
            await load.file(REPORTS, pause=0.05, begin=2 * REPORTS)
            await eventually(lambda: settled(stores, 3 * REPORTS), seconds=120, every=0.5, what="the last cases closed")
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        await eventually(lambda: complete(fleet), seconds=60, every=1, what="complete")
        assert await said(older, victim, of=before) == before
    store = await asyncpg.connect(older.admin_url)
    try:
        for table in ("forgeries", "parked", "lost"):
            assert await store.fetchval(f"SELECT count(*) FROM {victim}.{table}") == 0, table
    finally:
        await store.close()


async def said(store: Urls, name: str, of: Any = None) -> dict[str, list[str]]:
    """Case -> the ids of what the service has said of it, in order; of these cases, if they are given."""
    connection = await asyncpg.connect(store.admin_url)
    try:
        rows = await connection.fetch(
            f"SELECT stream_id, event_id FROM {name}.events WHERE own ORDER BY stream_id, version"
        )
    finally:
        await connection.close()
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["stream_id"], []).append(row["event_id"])
    return found if of is None else {case: ids for case, ids in found.items() if case in of}


async def complete(fleet: Fleet) -> bool:
    async with httpx.AsyncClient(base_url=fleet.url("audit"), headers=AUDITOR, timeout=20) as client:
        verdict = (await client.get("/completeness")).json()
    return verdict["verdict"] == "complete"

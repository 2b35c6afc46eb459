"""The benchmark's figures of what protection costs are measured, and leave nothing behind."""

import secrets
from datetime import UTC, datetime

import asyncpg

from chassis.ids import uuid7
from chassis.kafka.connection import Connection
from contracts.fields import Place, Point
from deploy.bench import database, protection
from deploy.bench.chain import PARTNER, report
from deploy.simulation.partner import request
from tests.support.infrastructure import Database, execute

SPOT = Place(point=Point(lat=30.6, lon=104.1))
REPORTS = [request(PARTNER, uuid7(datetime.now(UTC)), report(SPOT, n))[1] for n in range(50)]
PARTS = {
    "a case's records, read again and judged by who wrote them": True,
    "a client's connection to the broker, with its password proved": False,
    "a request's token, seen for the first time": False,
    "a request's token, seen before": False,
    "a request's right to a case": False,
    "a row of who read raw bytes": True,
}
"""What is measured, and whether PostgreSQL works for it."""


async def test_each_part_of_protection_is_measured_and_nothing_is_left(kafka: str, empty_database: Database) -> None:
    left = f'CREATE ROLE "{database.SCHEMA}"; CREATE SCHEMA "{database.SCHEMA}" CREATE TABLE events (one text)'
    await execute(empty_database.admin_url, left)  # as a measurement that was killed leaves it
    broker, key = Connection(kafka), secrets.token_urlsafe(32)
    found = {cost.what: cost for cost in await protection.costs(broker, empty_database.admin_url, REPORTS, key)}
    assert {what: cost.postgres_us is not None for what, cost in found.items()} == PARTS
    assert all(cost.service_us > 0 and cost.postgres_us != 0 for cost in found.values())
    new, seen = (found[f"a request's token, seen {when}"] for when in ("for the first time", "before"))
    assert new.service_us > 3 * seen.service_us, "a signature is verified once"
    connection = await asyncpg.connect(empty_database.admin_url)
    assert not await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", database.SCHEMA)
    assert await connection.fetchval("SELECT to_regnamespace($1) IS NULL", database.SCHEMA)
    await connection.close()

"""The plans of the queries that a service makes, among as many rows as a year leaves in its tables."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.examples import Call, Preparations, make, own_calls
from tests.support.infrastructure import Database
from tests.support.services import Running

CASES = 50_000

BOUNDED = {"leader", "locks", "lost", "migrations", "origin", "outbox", "outdated", "propagations", "published"}
BOUNDED |= {"skips", "tail", "taken", "unsent"}
"""Tables that do not grow: what is done is removed from them, they keep the rows that they were made with, or each row
is a person's doing."""

MANY_EVERYWHERE = """
CREATE FUNCTION pg_temp.case_of(n bigint) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN '01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0');
CREATE FUNCTION pg_temp.ago(n bigint) RETURNS timestamptz STABLE LANGUAGE sql
    RETURN '2026-05-09T00:00:00Z'::timestamptz - n * interval '10 minutes';
CREATE FUNCTION pg_temp.area(n bigint) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN 'CH/street' || n % 7 || '/community' || n % 91 || '/g' || n % 973;
"""
"""Every tenth minute a case."""

MANY_READS = """
INSERT INTO reads (read_at, reader, route, case_id, first, last)
SELECT pg_temp.ago(n), 'reader ' || n % 90, 'GET /log', pg_temp.case_of(n), n, n + 49
  FROM generate_series(1, {cases}) n;
"""
"""In the table that every service has."""

MANY_IN_THE_CHASSIS = """
INSERT INTO streams (stream_id, version, sequence, due_at)
SELECT pg_temp.case_of(n), 3, 1, CASE WHEN n % 50 = 0 THEN now() + n * interval '1 minute' END
  FROM generate_series(1, {cases}) n;
INSERT INTO events (stream_id, version, own, topic, event_id, body, recorded_at)
SELECT pg_temp.case_of(n), v, v = 2, (ARRAY['ReportFiled', 'Assigned', 'Evaluated'])[v], 'event ' || n, '',
       pg_temp.ago(n)
  FROM generate_series(1, {cases}) n, generate_series(1, 3) v;
INSERT INTO seen (source, id, received_at)
SELECT 'intake', 'event ' || n, pg_temp.ago(n) FROM generate_series(1, {cases}) n;
INSERT INTO idempotency (caller, key, fingerprint, status, body, version, created_at)
SELECT 'person ' || n % 500, 'key ' || n, '', 200, '', 3, pg_temp.ago(n)
  FROM generate_series(1, {cases}) n;
INSERT INTO accesses (subject, stream_id, until)
SELECT 'person ' || n % 500, pg_temp.case_of(n), pg_temp.ago(n) FROM generate_series(1, {cases}) n;
INSERT INTO forgeries (topic, partition, "offset", digest, stream_id, named_at)
SELECT 'Progressed', n % 6, n, sha256(n::text::bytea), pg_temp.case_of(n), pg_temp.ago(n)
  FROM generate_series(1, {cases}) n;
INSERT INTO parked (status, kind, reason, stream_id, topic, partition, "offset", headers, parked_at)
SELECT CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'discarded' END, 'invalid', 'x', pg_temp.case_of(n), 'from.x',
       0, n, '[]', pg_temp.ago(n)
  FROM generate_series(1, {cases}) n;
"""


async def fill(database: Database, schema: str, rows: str, **values: str) -> None:
    """Fills every table that grows. `rows` is SQL for the service's own ones, with `{cases}` for the number of cases,
    and names in braces for other values.
    """
    connection = await asyncpg.connect(database.admin_url, server_settings={"search_path": schema})
    await connection.execute(MANY_EVERYWHERE)
    await connection.execute(MANY_READS.format(cases=CASES))
    if await connection.fetchval("SELECT to_regclass('events') IS NOT NULL"):
        await connection.execute(MANY_IN_THE_CHASSIS.format(cases=CASES))
    await connection.execute(rows.format(cases=CASES, **values))
    await connection.execute("ANALYZE")
    for table in await _tables(connection, schema):
        if table not in BOUNDED:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") >= CASES, f"{table} is not filled"
    await connection.close()


_PLANNED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


class Statements:
    """The statements that services in this process send, and the call they were sent for."""

    def __init__(self) -> None:
        self._call: Call | None = None
        self._sent: dict[tuple[str, str, str], tuple[Call | None, tuple[Any, ...]]] = {}

    @property
    def queries(self) -> set[str]:
        return {query for _, query, _ in self._sent}

    async def of_every_call(
        self, running: Running, preparations: Preparations, client: httpx.AsyncClient | None = None
    ) -> None:
        """Makes every example of the service's own operations."""
        for call in await own_calls(running, preparations):
            prepared = await preparations[call.operation](running)
            self._call = call
            await make(client or running.client, call, prepared)

    def keep(self, sent: Any) -> None:
        self._sent[str(self._call), sent.query, repr(sent.args)] = self._call, sent.args

    async def scans(self, database: Database, schema: str) -> list[tuple[Call | None, str, str]]:
        """(call or None, table, query) of each sequential scan of a table that grows."""
        connection = await asyncpg.connect(database.admin_url, server_settings={"search_path": schema})
        await connection.execute("SET random_page_cost = 1.1")  # as deploy/postgres/postgresql.conf
        growing = {*await _tables(connection, schema)} - BOUNDED
        found = []
        for (_, query, _), (call, arguments) in [*self._sent.items()]:  # the service goes on
            if query.split(None, 1)[0] not in _PLANNED or ";" in query:
                continue
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *arguments))[0]["Plan"]
            found += [
                (call, node["Relation Name"], query)
                for node in _nodes(plan)
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in growing
            ]
        await connection.close()
        return found

    def forget(self) -> None:
        """What was sent so far is asked for no more."""
        self._sent.clear()

    async def rows_read(self, database: Database, schema: str) -> int:
        """How many rows of growing tables the worst of the queries reads, with those that it leaves out."""
        connection = await asyncpg.connect(database.admin_url, server_settings={"search_path": schema})
        await connection.execute("SET random_page_cost = 1.1")  # as deploy/postgres/postgresql.conf
        growing = {*await _tables(connection, schema)} - BOUNDED
        most = 0
        for (_, query, _), (_, arguments) in [*self._sent.items()]:
            if query.split(None, 1)[0] not in ("SELECT", "WITH") or ";" in query:
                continue
            found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
            read = [
                (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                for node in _nodes(json.loads(found)[0]["Plan"])
                if node.get("Relation Name") in growing
            ]
            most = max(most, sum(read))
        await connection.close()
        return most


async def _tables(connection: asyncpg.Connection, schema: str) -> list[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return [row["tablename"] for row in rows]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """What is sent from now on; to be asked for before the service is started."""
    kept = Statements()

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(kept.keep)

    monkeypatch.setattr(asyncpg, "create_pool", functools.partial(asyncpg.create_pool, init=listen))
    return kept

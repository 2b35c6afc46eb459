"""Once a second a worker asks whether a deadline has passed: among many cases that reads one entry of an index."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg

from chassis.engine.timers import Timers
from chassis.store.database import Database
from chassis.store.streams import Cache
from tests.support.plans import Statements
from tests.support.services import Hands, all_read, eventually
from tests.support.tally import MODEL

STREAMS = """
INSERT INTO streams (stream_id, version, sequence, due_at)
SELECT 'case ' || n, 3, 1, CASE WHEN n % 50 = 0 THEN $1::timestamptz + n * interval '1 minute' END
  FROM generate_series(1, 50000) n
"""
ONE_IS_DUE = "UPDATE streams SET due_at = $1::timestamptz - interval '1 minute' WHERE stream_id = 'case 7'"


async def test_whether_a_deadline_has_passed_is_read_from_an_index_whatever_the_plan(
    statements: Statements, database: Database, tally_database: str
) -> None:
    clock = Hands()
    await database.fetch(STREAMS, clock.at)
    asking = asyncio.create_task(Timers(MODEL, database, clock, Cache(), all_read, look_seconds=0.01).run())

    async def asked() -> bool:
        return bool(questions(statements))

    try:
        await eventually(asked, what="a question for deadlines")
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    (question,) = questions(statements)
    await database.fetch(ONE_IS_DUE, clock.at)
    connection = await asyncpg.connect(tally_database, server_settings={"search_path": "tally"})
    await connection.execute("ANALYZE streams")
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE question (timestamptz) AS {question}")
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE question ('{clock.at.isoformat()}')")
    await connection.close()
    scans = [one for one in nodes(json.loads(rows[0][0])[0]["Plan"]) if one.get("Relation Name") == "streams"]
    assert scans
    assert [one["Node Type"] for one in scans if "Index" not in one["Node Type"]] == []
    assert sum((one["Actual Rows"] + one.get("Rows Removed by Filter", 0)) * one["Actual Loops"] for one in scans) <= 1


def questions(statements: Statements) -> set[str]:
    return {query for query in statements.queries if "due_at" in query and query.split(None, 1)[0] == "SELECT"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)

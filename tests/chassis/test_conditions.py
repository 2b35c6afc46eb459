"""The first rows of an area are found without reading all of it, and are those of the area and of what lies in it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import orjson
import pytest

from chassis.store.conditions import Conditions
from tests.support.infrastructure import Database

ROWS = "SELECT id, area, at FROM cases WHERE {where}"
ORDER = "at DESC, id DESC"
MANY = 20_000
TABLE = f"""
CREATE TABLE cases (id int, area text COLLATE "C", at int);
INSERT INTO cases SELECT n, (ARRAY['CH/a/g1', 'CH/a/g1/s1', 'CH/a/g2', 'CH/b/g1'])[n % 4 + 1], n
  FROM generate_series(1, {MANY}) n;
CREATE INDEX ON cases (area, at);
CREATE INDEX ON cases (at, id);
ANALYZE cases
"""


@pytest.fixture
async def connection(empty_database: Database) -> AsyncIterator[asyncpg.Connection]:
    found = await asyncpg.connect(empty_database.admin_url)
    await found.execute(TABLE)
    yield found
    await found.close()


def wanted(area: str | None) -> Conditions:
    found = Conditions(51)
    found.in_area("area", area)
    found.add("id < {0}", MANY - 100)
    return found


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in plan:
        yield plan
    for below in plan.get("Plans", ()):
        yield from scans(below)


@pytest.mark.parametrize("area", ["CH/a/g1/s1", "CH/a/g1", "CH/a", "CH", "CH/c", None])
async def test_they_are_the_same_as_by_one_condition(connection: asyncpg.Connection, area: str | None) -> None:
    asked = wanted(area)
    plain = f"{ROWS.format(where=asked.where)} ORDER BY {ORDER} LIMIT $1"
    found = await connection.fetch(asked.first(ROWS, ORDER), *asked.arguments)
    assert found == await connection.fetch(plain, *asked.arguments)
    assert len(found) == (0 if area == "CH/c" else 51)


async def test_of_an_area_with_many_cases_a_page_is_read(connection: asyncpg.Connection) -> None:
    asked = wanted("CH/a/g1/s1")
    explained: str | None = await connection.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.first(ROWS, ORDER)}", *asked.arguments
    )
    read = sum(
        (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"]
        for scan in scans(orjson.loads(explained or "[]")[0]["Plan"])
    )
    assert read < 200, f"{read} of {MANY // 4} rows of the area were read"

"""The first rows of an area are found without reading all of it, and are those of the area and of what lies in it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import orjson
import pytest

from chassis.store.conditions import Conditions
from contracts.fields import lies_in
from contracts.reading import Knows, Matter, Scope, Sight
from tests.support.infrastructure import Database

ROWS = "SELECT id, area, at FROM cases WHERE {where}"
ORDER = "at DESC, id DESC"
MANY = 20_000
TABLE = f"""
CREATE TABLE cases (id int, area text COLLATE "C", at int, filer int, category text);
INSERT INTO cases SELECT n, (ARRAY['CH/a/g1', 'CH/a/g1/s1', 'CH/a/g2', 'CH/b/g1'])[n % 4 + 1], n, n % 5,
                         (ARRAY['dispute.family', 'event.waste', NULL])[n % 3 + 1]
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


KNOWS = Knows(frozenset({"dispute.family"}), "CH", categories=True, units=False, filers=True)
SCOPES = {
    "one area": Scope(KNOWS, areas=("CH/a/g1",)),
    "areas of which one lies in another": Scope(KNOWS, areas=("CH/a/g1/s1", "CH/a/g1", "CH/b")),
    "more areas than are looked for apart": Scope(KNOWS, areas=tuple(f"CH/a/g{n}" for n in range(20))),
    "the district": Scope(KNOWS, areas=("CH",)),
    "everywhere": Scope(KNOWS, everywhere=True, confidential=True),
    "sensitive cases, too": Scope(KNOWS, areas=("CH/a/g2",), confidential=True),
    "nothing": Scope(KNOWS),
}


@pytest.mark.parametrize("own", [None, "filer = 3"], ids=["no own cases", "own cases"])
@pytest.mark.parametrize("area", [None, "CH/a", "CH/a/g1/s1"])
@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES.keys())
async def test_what_a_caller_may_see_is_each_once_and_in_order(
    connection: asyncpg.Connection, scope: Scope, area: str | None, own: str | None
) -> None:
    asked = Conditions(51)
    asked.visible(scope, own)
    asked.in_area("area", area)
    everything = await connection.fetch("SELECT *, $1::int FROM cases ORDER BY at DESC, id DESC", 51)
    seen = [
        row["id"]
        for row in everything
        if scope.sight(Matter(row["area"], row["category"])) is Sight.WHOLE or (own is not None and row["filer"] == 3)
        if area is None or lies_in(row["area"], area)
    ]
    found = [row["id"] for row in await connection.fetch(asked.first(ROWS, ORDER), *asked.arguments)]
    assert found == seen[:51]
    count = f"SELECT count(*), $1::int FROM cases WHERE {asked.where}"
    assert (await connection.fetchrow(count, *asked.arguments) or [0])[0] == len(seen)


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

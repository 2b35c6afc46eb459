"""A list of a caller who sees a part of the district, or a unit's work: among many cases a page is read."""

from importlib import import_module
from typing import Any

import asyncpg

from chassis.service import Service
from contracts.roles import Role
from tests.support.infrastructure import Database
from tests.support.plans import Statements, fill
from tests.support.services import Running, token

GRID, STREET, OTHERS = "CH/shuangqiaozi/shuanglin/g001", "CH/shuangqiaozi", "CH/shuangqiaozi/shuangqiaolubei"
LISTS = {
    "intake": [("/reports", {}), ("/reports", {"status": "closed"})],
    "triage": [("/cases", {}), ("/cases", {"status": "closed"}), ("/queue", {})],
    "dispatch": [("/assignments", {}), ("/assignments", {"status": "open"}), ("/queue", {})],
    "feedback": [("/cases", {}), ("/cases", {"status": "closed"}), ("/checks", {})],
    "audit": [("/cases", {}), ("/cases", {"open": "true"})],
}
"""Service -> its lists of cases, with filters."""
UNIT = "dept:7"
"""Of the filled tables: a 64th of all cases is its work."""
CALLERS: dict[str, dict[str, Any]] = {
    "a grid member": {"role": Role.GRID_MEMBER, "areas": (GRID,)},
    "a grid member with a unit": {"role": Role.GRID_MEMBER, "areas": (GRID,), "unit": UNIT},
    "who watches a grid": {"role": Role.AUDITOR, "areas": (GRID,)},
    "a dispatcher of some grids": {"role": Role.DISPATCHER, "areas": (GRID, f"{OTHERS}/g001", f"{OTHERS}/g002")},
    "a dispatcher of a street": {"role": Role.DISPATCHER, "areas": (STREET,)},
    "who watches a street": {"role": Role.AUDITOR, "areas": (STREET,)},
    "a dispatcher of the district": {"role": Role.DISPATCHER, "areas": ("CH",)},
    "a unit": {"role": Role.HANDLING_UNIT, "unit": UNIT, "areas": ()},
}
MOST = 5_000
"""Rows that may be read of 50,000: a small queue, what a unit has, or the way to a page of a street."""
PLACED = """
UPDATE {table} SET area = CASE WHEN abs(hashtext(case_id)) % 2000 = 7 THEN '{grid}'
                               ELSE regexp_replace(area, '^CH/street3', '{street}') END,
                   category = 'event.kind7'
"""
"""Some 25 cases lie in the grid, and a seventh of all in its street."""
ITEM = """'{{"open": false, "retrospective": false}}'"""


async def placed(database: Database, schema: str) -> None:
    """Gives the areas of the filled tables names of the district, and what lacks a category one."""
    connection = await asyncpg.connect(database.admin_url, server_settings={"search_path": schema})
    for table in ("reports", "cases", "assignments"):
        columns = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
            schema,
            table,
        )
        if {"area", "category", "case_id"} <= {row["column_name"] for row in columns}:
            await connection.execute(PLACED.format(table=table, grid=GRID, street=STREET))
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


async def test_a_page_is_read_and_not_the_table(
    statements: Statements, empty_database: Database, service: Service, api: Running
) -> None:
    name = service.name
    many: str = import_module(f"tests.services.{name}.test_plans").MANY
    await fill(empty_database, name, many.replace("(SELECT item FROM assignments LIMIT 1)", ITEM), body="")
    await placed(empty_database, name)
    found: dict[str, int] = {}
    for caller, given in CALLERS.items():
        headers = token("somebody", given["role"], areas=given["areas"], unit=given.get("unit"))
        for path, query in LISTS[name]:
            if given["role"] in service.routes.roles["GET", path].roles:
                statements.forget()
                answer = await api.client.get(path, params=query, headers=headers)
                assert answer.is_success, answer.text
                found[f"{caller}: {path} {query}"] = await statements.rows_read(empty_database, name)
    assert {what: read for what, read in found.items() if read > MOST} == {}
    assert found

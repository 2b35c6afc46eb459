"""What decisions need of other cases: the open cases near the reports of a batch, and the target of a merge."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg

from chassis.store.database import Connection
from chassis.store.locks import lock, lock_alone
from chassis.store.transaction import Transaction
from contracts.envelope import Event
from contracts.fields import Point
from contracts.intake import NewReport, Withdrawal
from contracts.reading import Matter
from contracts.territory import COMMUNITY, GRID, around, upto
from services.triage.domain.commands import Merge, refuse_target
from services.triage.domain.neighbours import Neighbourhood, OpenCase
from services.triage.domain.rulebook import Rulebook

_COMMUNITIES = "SELECT DISTINCT community FROM cases WHERE case_id = ANY($1::text[]) AND community IS NOT NULL"
_LEADERS = "SELECT DISTINCT merged_into FROM cases WHERE merged_into = ANY($1::text[])"

# A statement of its own after the locks are held, because it must see what those who held them before have committed.
# First the cases by position; then those without a position in the same grid; then, for reports without a position, all
# others in the grid.
_NEAR = """
WITH wanted AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                         $6::float8[], $7::float8[], $8::float8[], $9::float8[])
           AS w (community, grid, category, since, until, south, north, west, east))
SELECT c.case_id, c.category, c.area, c.lat, c.lon, c.reported_at, c.retrospective, c.reporter_ref
  FROM wanted w JOIN cases c
    ON c.open AND c.community = w.community AND c.category = w.category
   AND c.lat BETWEEN w.south AND w.north AND c.lon BETWEEN w.west AND w.east
   AND c.reported_at BETWEEN w.since AND w.until
UNION ALL
SELECT c.case_id, c.category, c.area, c.lat, c.lon, c.reported_at, c.retrospective, c.reporter_ref
  FROM wanted w JOIN cases c
    ON c.open AND c.lat IS NULL AND c.community = w.community AND c.category = w.category AND c.grid = w.grid
   AND c.reported_at BETWEEN w.since AND w.until
UNION ALL
SELECT c.case_id, c.category, c.area, c.lat, c.lon, c.reported_at, c.retrospective, c.reporter_ref
  FROM wanted w JOIN cases c
    ON c.open AND c.lat IS NOT NULL AND c.community = w.community AND c.category = w.category AND c.grid = w.grid
   AND c.reported_at BETWEEN w.since AND w.until
 WHERE w.south IS NULL
"""


async def load_context(
    transaction: Transaction, events: Sequence[Event[Any]], _: Sequence[str], rules: Rulebook
) -> Neighbourhood | None:
    """The open cases near the reports of a batch. Their communities stay locked until the transaction ends, so that two
    workers cannot both take two reports of one matter for the first.
    """
    reports = [event for event in events if isinstance(event.data, NewReport)]
    withdrawn = [event.subject for event in events if isinstance(event.data, Withdrawal)]
    if not reports and not withdrawn:
        return None
    connection = await transaction.begin()
    near = Neighbourhood(rules)
    wanted = list(_wanted(reports, near))
    communities = {row[0] for row in wanted}
    if withdrawn:
        communities |= {row[0] for row in await connection.fetch(_COMMUNITIES, withdrawn)}
    await lock(connection, communities)
    if wanted:
        near.add(map(_open_case, await connection.fetch(_NEAR, *map(list, zip(*wanted, strict=True)))))
    if withdrawn:
        near.leaders.update(row[0] for row in await connection.fetch(_LEADERS, withdrawn))
    return near


async def claim_target(command: Merge, connection: Connection, require: Callable[[Matter], None]) -> Merge:
    """The command with its target's category. Until the transaction ends the target is as it is found here: it exists,
    is open, and is not being merged or withdrawn elsewhere. Raises `Unknown` and `Refused`, and whatever `require`
    raises of a target that the caller may not see.
    """
    into = command.into
    await lock_alone(connection)
    communities = [row[0] for row in await connection.fetch(_COMMUNITIES, [into])]
    await lock(connection, communities)
    row = await connection.fetchrow("SELECT status, area, category FROM cases WHERE case_id = $1", into)
    if row is not None:
        require(Matter(row["area"], row["category"]))
    refuse_target(into, None if row is None else row["status"])
    return replace(command, category=None if row is None else row["category"])


def _wanted(reports: Iterable[Event[NewReport]], near: Neighbourhood) -> Iterable[tuple[Any, ...]]:
    """The rows of `wanted`: where and when each report may have a duplicate."""
    for event in reports:
        found = near.assessments[event.id] = near.assessment(event)
        category, community = near.rules.catalogue.by_code.get(found.category or ""), upto(found.area, COMMUNITY)
        if category is None or community is None:
            continue
        point = event.data.place.point
        box = around(point, category.duplicates.radius_m) if point else (None, None, None, None)
        window = timedelta(hours=category.duplicates.window_hours)
        since, until = event.time - window, event.time + window
        yield community, upto(found.area, GRID), category.code, since, until, *box


def _open_case(row: asyncpg.Record) -> OpenCase:
    return OpenCase(
        row["case_id"],
        row["category"],
        row["area"],
        None if row["lat"] is None else Point(lat=row["lat"], lon=row["lon"]),
        row["reported_at"],
        row["retrospective"],
        row["reporter_ref"],
    )

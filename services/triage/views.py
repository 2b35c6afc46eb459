"""Triage's read model: one row per case; the queue, the lists, and the open cases near the reports of a batch."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from chassis.database import Connection, Database
from chassis.service import Gather
from chassis.views import View
from contracts.envelope import Event
from contracts.fields import Point
from contracts.intake import NewReport, Withdrawal
from services.triage.domain.assessment import GRID
from services.triage.domain.case import Case
from services.triage.domain.commands import refuse_target
from services.triage.domain.neighbours import COMMUNITY, Neighbourhood, OpenCase, around
from services.triage.domain.rulebook import Rulebook, upto

_LOCK_CLASS = 0x7219
"""Of triage's advisory locks: one per community, and number 0 for merging by hand."""

# A generic plan would be made while the tables are small, and kept; planning each time costs less than a bad plan once.
_LOCK = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), pg_advisory_xact_lock($2, number)
  FROM (SELECT DISTINCT hashtext(community) AS number FROM unnest($1::text[]) AS community ORDER BY 1) AS numbers
"""

# Its own statement, after the locks are held: it must see what those who held them before have committed. By position,
# then what has none in the same grid, then all in the grid for the reports that have none themselves.
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

_QUEUE = """
SELECT c.case_id, s.version, c.queue, c.queue_words AS words, c.queue_since AS since, c.queue_due_at AS due_at,
       c.overdue, c.queue_unit AS unit, c.category, c.area, c.title, c.channel, c.reported_at, c.external_ref, c.round
  FROM cases c JOIN streams s ON s.stream_id = c.case_id
 WHERE c.queue IS NOT NULL AND ($1::text IS NULL OR c.queue = $1)
   AND ($2::text[] IS NULL OR c.area = ANY($2) OR c.area LIKE ANY($3))
   AND ($4::text IS NULL OR c.area = $4 OR c.area LIKE $5)
   AND ($6::boolean IS NULL OR c.overdue = $6)
   AND ($7::timestamptz IS NULL OR (c.queue_due_at, c.case_id) > ($7, $8))
 ORDER BY c.queue_due_at, c.case_id LIMIT $9
"""

_LIST = """
SELECT case_id, status, queue, category, priority, area, title, channel, external_ref, reported_at, retrospective,
       round, merged_into, outcome
  FROM cases
 WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR category = $2 OR category LIKE $3)
   AND ($4::text IS NULL OR area = $4 OR area LIKE $5) AND ($6::timestamptz IS NULL OR reported_at >= $6)
   AND ($7::timestamptz IS NULL OR reported_at < $7) AND ($8::text IS NULL OR merged_into = $8)
   AND ($9::text IS NULL OR external_ref = $9)
   AND ($10::timestamptz IS NULL OR (reported_at, case_id) < ($10, $11))
 ORDER BY reported_at DESC, case_id DESC LIMIT $12
"""


def _rows(case_id: str, state: Case) -> Iterable[tuple[Any, ...]]:
    event, waiting, filed = state.report, state.waiting, state.filed
    if event is None:
        return
    report, point = event.data, event.data.place.point
    community = upto(state.area, COMMUNITY)
    yield (
        case_id,
        state.standing.status,
        waiting.queue if waiting else None,
        waiting.since if waiting else None,
        waiting.due_at if waiting else None,
        waiting.words if waiting else None,
        waiting.unit if waiting else None,
        waiting.overdue if waiting else False,
        state.category,
        filed.priority if filed else None,
        state.area,
        community,
        upto(state.area, GRID),
        report.title,
        report.channel,
        report.external_ref,
        report.reporter_ref,
        event.time,
        report.retrospective,
        point.lat if point else None,
        point.lon if point else None,
        state.round,
        not state.over and community is not None and state.category is not None,
        state.merged_into,
        state.verdict.outcome if state.verdict else None,
    )


CASES: View[Case] = View(
    "cases",
    ("case_id",),
    {
        "case_id": "text",
        "status": "text",
        "queue": "text",
        "queue_since": "timestamptz",
        "queue_due_at": "timestamptz",
        "queue_words": "text",
        "queue_unit": "text",
        "overdue": "boolean",
        "category": "text",
        "priority": "integer",
        "area": "text",
        "community": "text",
        "grid": "text",
        "title": "text",
        "channel": "text",
        "external_ref": "text",
        "reporter_ref": "text",
        "reported_at": "timestamptz",
        "retrospective": "boolean",
        "lat": "float8",
        "lon": "float8",
        "round": "integer",
        "open": "boolean",
        "merged_into": "text",
        "outcome": "text",
    },
    _rows,
)


def gathering(rules: Rulebook) -> Gather:
    """Reads the open cases near the reports of a batch, with their communities locked until the batch is committed, so
    that two workers cannot both take two reports of one incident for the first.
    """

    async def gather(connection: Connection, events: Sequence[Event[Any]], _: Sequence[str]) -> Neighbourhood | None:
        reports = [event for event in events if isinstance(event.data, NewReport)]
        withdrawn = [event.subject for event in events if isinstance(event.data, Withdrawal)]
        if not reports and not withdrawn:
            return None
        near = Neighbourhood(rules)
        wanted = list(_wanted(reports, near))
        communities = {row[0] for row in wanted}
        if withdrawn:
            communities |= {row[0] for row in await connection.fetch(_COMMUNITIES, withdrawn)}
        await connection.execute(_LOCK, list(communities), _LOCK_CLASS)
        if wanted:
            near.add(map(_open_case, await connection.fetch(_NEAR, *map(list, zip(*wanted, strict=True)))))
        if withdrawn:
            near.leaders.update(row[0] for row in await connection.fetch(_LEADERS, withdrawn))
        return near

    return gather


_COMMUNITIES = "SELECT DISTINCT community FROM cases WHERE case_id = ANY($1::text[]) AND community IS NOT NULL"
_LEADERS = "SELECT DISTINCT merged_into FROM cases WHERE merged_into = ANY($1::text[])"


def _wanted(reports: Iterable[Event[NewReport]], near: Neighbourhood) -> Iterable[tuple[Any, ...]]:
    for event in reports:
        found = near.assessments[event.id] = near.assessment(event)
        category, community = near.rules.catalogue.by_code.get(found.category or ""), upto(found.area, COMMUNITY)
        if category is None or community is None:
            continue
        point = event.data.place.point
        box = around(point, category.duplicates.radius_m) if point else (None, None, None, None)
        window = timedelta(hours=category.duplicates.window_hours)
        yield (
            community,
            upto(found.area, GRID),
            category.code,
            event.time - window,
            event.time + window,
            *box,
        )


def _open_case(row: asyncpg.Record) -> OpenCase:
    point = None if row["lat"] is None else Point(lat=row["lat"], lon=row["lon"])
    return OpenCase(
        row["case_id"],
        row["category"],
        row["area"],
        point,
        row["reported_at"],
        row["retrospective"],
        row["reporter_ref"],
    )


async def claim_target(connection: Connection, into: str) -> None:
    """Makes sure, until the transaction ends, that a case can be merged into: it exists, is open, and is not being
    merged or withdrawn elsewhere. Raises `Refused`.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1, 0)", _LOCK_CLASS)
    communities = [row[0] for row in await connection.fetch(_COMMUNITIES, [into])]
    await connection.execute(_LOCK, communities, _LOCK_CLASS)
    refuse_target(into, await connection.fetchval("SELECT status FROM cases WHERE case_id = $1", into))


async def queue(
    database: Database,
    *,
    kind: str | None,
    areas: Sequence[str],
    area: str | None,
    overdue: bool | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """What waits for a person, the most urgent deadline first; of `areas` only, where any are given."""
    due_at, case_id = after or (None, None)
    own = list(areas) or None
    below = [_below(one) for one in areas]
    rows = await database.fetch(_QUEUE, kind, own, below, area, _below(area), overdue, due_at, case_id, limit)
    return [dict(row) for row in rows]


async def cases(
    database: Database,
    *,
    status: str | None,
    category: str | None,
    area: str | None,
    since: datetime | None,
    until: datetime | None,
    merged_into: str | None,
    external_ref: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Cases by what triage knows of them, the latest report first; `category` and `area` with all below them."""
    reported_at, case_id = after or (None, None)
    below = None if category is None else _escaped(category) + ".%"
    rows = await database.fetch(
        _LIST,
        status,
        category,
        below,
        area,
        _below(area),
        since,
        until,
        merged_into,
        external_ref,
        reported_at,
        case_id,
        limit,
    )
    return [dict(row) for row in rows]


async def merged_count(database: Database, case_id: str) -> int:
    """How many reports were merged into a case."""
    row = await database.fetchrow("SELECT count(*) FROM cases WHERE merged_into = $1", case_id)
    return row[0] if row else 0


def _below(area: str | None) -> str | None:
    return None if area is None else _escaped(area) + "/%"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

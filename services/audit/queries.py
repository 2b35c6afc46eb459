"""What audit's API asks of the table of cases."""

from collections import Counter
from datetime import datetime
from typing import Any

from chassis.store.conditions import Conditions
from chassis.store.database import Database
from chassis.web.paging import PAGE, page, position
from contracts.reading import Matter, Scope
from services.audit.bodies import CaseFilters, SummaryFilters
from services.audit.records import SIZE, folded
from services.audit.views import ITEM_COLUMNS

_CASES = f"SELECT {', '.join(ITEM_COLUMNS)} FROM cases WHERE {{where}}"
_MERGED = """
SELECT case_id, title, channel, external_ref, reported_at, ruled_at AS merged_at, status FROM cases
 WHERE merged_into = $1 AND ($2::timestamptz IS NULL OR ruled_at <= $2) AND {where} ORDER BY first_index LIMIT $3
"""
_COUNTS = {
    "reported": "reported_at IS NOT NULL",
    "filed": "filed_at IS NOT NULL",
    "merged": "merged_into IS NOT NULL",
    "rejected": "ruling = 'rejected'",
    "withdrawn": "ruling = 'withdrawn'",
    "closed": "status = 'closed'",
    "open": "open",
    "late": "late",
    "rework": "reworks > 0",
}
"""Name of a count -> which cases it counts."""
_SUMMARY = (
    f"SELECT ({SIZE}) AS size, category, outcome, status, channel, count(*) AS cases, "
    + ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in _COUNTS.items())
    + " FROM cases WHERE {where} GROUP BY category, outcome, status, channel"
)


async def cases(database: Database, filters: CaseFilters, scope: Scope) -> dict[str, Any]:
    """A page of cases in the order in which the log first knew of them."""
    wanted = _conditions(filters, scope, filters.limit + 1)
    for name in ("status", "outcome", "merged_into", "late", "external_ref"):
        wanted.equals(name, getattr(filters, name))
    wanted.below("category", filters.category)
    if filters.open is not None:
        wanted.add(_COUNTS["open" if filters.open else "closed"])
    if (after := position(filters.cursor, int)) is not None:
        wanted.add("first_index > {0}", *after)
    rows = await database.fetch(wanted.first(_CASES, "first_index"), *wanted.arguments)
    return page([dict(row) for row in rows], filters.limit, lambda item: [item["first_index"]])


async def matter(database: Database, case_id: str) -> Matter | None:
    """What the rule of reading asks of a case, as it is today; None where the log knows of no such case."""
    row = await database.fetchrow("SELECT area, category FROM cases WHERE case_id = $1", case_id)
    return None if row is None else Matter(row["area"], row["category"])


async def merged(database: Database, case_id: str, at: datetime | None, scope: Scope) -> list[dict[str, Any]]:
    """The first cases that were merged into this one; with `at`, by then, each as it was then.

    A merged case gets no other ruling, so today's rows name all that were merged at any instant. Those that the caller
    may not read are left out.
    """
    wanted = Conditions(case_id, at, PAGE)
    wanted.visible(scope)
    rows = await database.fetch(_MERGED.format(where=wanted.where), *wanted.arguments)
    if at is None:
        return [dict(row) for row in rows]
    then = await folded(database, [row["case_id"] for row in rows], at)
    return [
        {
            "case_id": merged_id,
            "title": case.title,
            "channel": case.channel,
            "external_ref": case.external_ref,
            "reported_at": case.reported_at,
            "merged_at": case.ruled_at,
            "status": case.status,
        }
        for merged_id, case in ((row["case_id"], then[row["case_id"]]) for row in rows)
    ]


async def summary(database: Database, filters: SummaryFilters, scope: Scope) -> dict[str, Any]:
    """Counts of cases in all, per outcome, status, channel and category, all at one instant."""
    wanted = _conditions(filters, scope)
    rows = await database.fetch(_SUMMARY.format(where=wanted.where), *wanted.arguments)
    size = rows[0]["size"] if rows else (await database.fetch(SIZE))[0][0]
    by_category: dict[str | None, Counter[str]] = {}
    tallies: dict[str, Counter[str]] = {name: Counter() for name in ("outcome", "status", "channel")}
    for row in rows:
        for name, tally in tallies.items():
            if row[name] is not None:
                tally[row[name]] += row["cases"]
        by_category.setdefault(row["category"], Counter()).update({name: row[name] for name in _COUNTS})
    return {
        "size": size,
        **{name: sum(counts[name] for counts in by_category.values()) for name in _COUNTS},
        **{f"by_{name}": dict(sorted(tally.items())) for name, tally in tallies.items()},
        "by_category": [
            {"category": category, **{name: by_category[category][name] for name in _COUNTS}}
            for category in sorted(by_category, key=lambda one: (one is None, one))
        ],
    }


def _conditions(filters: SummaryFilters, scope: Scope, *arguments: Any) -> Conditions:
    """What list and summary have in common."""
    wanted = Conditions(*arguments)
    wanted.in_area("area", filters.area)
    wanted.visible(scope)
    wanted.equals("channel", filters.channel)
    wanted.add("reported_at >= {0}", filters.since)
    wanted.add("reported_at < {0}", filters.until)
    wanted.add("starts_with(external_ref, {0})", filters.external_prefix)
    wanted.add("first_index >= {0}", filters.since_index)
    wanted.add("case_id >= {0}", filters.since_case)
    wanted.add("case_id <= {0}", filters.until_case)
    return wanted

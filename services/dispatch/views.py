"""Read models of dispatch: cases and assignments as rows, and the queries over them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from chassis.database import Database
from chassis.views import View
from services.dispatch.domain.deadlines import Reckoning
from services.dispatch.domain.state import Case, Work

OPEN = ("assigned", "acknowledged", "en_route", "on_scene")


def views(reckoning: Reckoning) -> tuple[View[Case], ...]:
    """The tables the runtime keeps."""
    return (
        View("cases", ("case_id",), _CASES, _case_rows),
        View("assignments", ("assignment_id",), _ASSIGNMENTS, _assignment_rows(reckoning)),
    )


def item(reckoning: Reckoning, case_id: str, case: Case, work: Work) -> dict[str, Any]:
    """All that is shown of an assignment but its light, which depends on when one looks."""
    order, plan, end, request, supervision = work.order, work.plan, work.end, work.request, work.supervision
    return {
        "assignment_id": plan.id,
        "case_id": case_id,
        "status": case.status_of(work),
        "open": end is None and not case.closed,
        "unit": plan.unit,
        "lead": plan.lead,
        "task": plan.task,
        "member": plan.member,
        "backups": plan.backups,
        "round": order.round,
        "because": order.because,
        "replaces": plan.replaces,
        "title": order.title,
        "category": order.category,
        "condition": order.condition,
        "priority": order.priority,
        "area": order.area,
        "place": order.place.model_dump(exclude_none=True),
        "retrospective": order.retrospective,
        "started_at": work.started_at,
        "acknowledge_by": plan.acknowledge_by,
        "yellow_at": reckoning.yellow_at(work),
        "red_at": reckoning.red_at(work),
        "resolve_by": work.resolve_by,
        "acknowledged_at": work.acknowledged_at,
        "en_route_at": work.en_route_at,
        "arrived_at": work.arrived_at,
        "ended_at": end.at if end else None,
        "ended_by": end.by if end else None,
        "reason": end.reason if end else None,
        "late_by_seconds": end.late_by_seconds if end else None,
        "extensions": work.extensions,
        "extension_request": {"by": request.by, "at": request.at, "reason": request.reason} if request else None,
        "urged": len(work.urged_at),
        "last_urged_at": max(work.urged_at, default=None),
        "supervision": {
            "level": supervision.level,
            "reply_by": supervision.reply_by,
            "reason": supervision.reason,
        }
        if supervision
        else None,
        "escalation_level": work.level,
        "escalated_to": plan.escalated_to[: work.level],
        "escalation_failed": work.escalation_failed,
        "handled_by": work.handled_by,
    }


def lit(shown: dict[str, Any], yellow_at: datetime, red_at: datetime, now: datetime) -> dict[str, Any]:
    """The item with its light: none for what is not open, and for what was entered long after the fact."""
    if not shown["open"] or shown["retrospective"]:
        return {**shown, "light": None}
    return {**shown, "light": "red" if now >= red_at else "yellow" if now >= yellow_at else "green"}


def status_of(case: Case) -> str:
    """The case's status as dispatch sees it, in the words people are shown."""
    if case.closed:
        return "closed"
    if case.ruling is not None:
        return case.ruling
    newest_first = sorted(case.work.values(), key=lambda work: (work.order.round, work.plan.lead), reverse=True)
    for work in newest_first:
        if work.end is None:
            return "dispatched" if work.stage == "assigned" else work.stage
    fixed = any(work.end is not None and work.end.outcome == "fixed" for work in newest_first if work.plan.lead)
    return "fixed" if fixed else "filed"


_CASES = {
    "case_id": "text",
    "status": "text",
    "title": "text",
    "category": "text",
    "condition": "text",
    "priority": "integer",
    "area": "text",
    "round": "integer",
    "filed_at": "timestamptz",
    "retrospective": "boolean",
    "ruling": "text",
    "verdict": "text",
    "outcome": "text",
}


def _case_rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
    order = case.order
    if order is None:
        return
    yield (
        case_id,
        status_of(case),
        order.title,
        order.category,
        order.condition,
        order.priority,
        order.area,
        order.round,
        order.filed_at,
        order.retrospective,
        case.ruling,
        case.verdict,
        case.outcome,
    )


_ASSIGNMENTS = {
    "assignment_id": "text",
    "case_id": "text",
    "unit": "text",
    "area": "text",
    "lead": "boolean",
    "status": "text",
    "open": "boolean",
    "retrospective": "boolean",
    "due_at": "timestamptz",
    "yellow_at": "timestamptz",
    "red_at": "timestamptz",
    "ended_at": "timestamptz",
    "late_by_seconds": "bigint",
    "urged": "integer",
    "supervised": "boolean",
    "extension_pending": "boolean",
    "escalation_level": "integer",
    "escalation_failed": "boolean",
    "item": "jsonb",
}


def _assignment_rows(reckoning: Reckoning) -> Callable[[str, Case], Iterable[tuple[Any, ...]]]:
    def rows(case_id: str, case: Case) -> Iterable[tuple[Any, ...]]:
        for work in case.work.values():
            shown = item(reckoning, case_id, case, work)
            acknowledged = work.acknowledged_at is not None or work.end is not None
            yield (
                work.plan.id,
                case_id,
                work.plan.unit,
                work.order.area,
                work.plan.lead,
                shown["status"],
                shown["open"],
                work.order.retrospective,
                work.resolve_by if acknowledged else work.plan.acknowledge_by,
                shown["yellow_at"],
                shown["red_at"],
                shown["ended_at"],
                shown["late_by_seconds"],
                shown["urged"],
                work.supervision is not None,
                work.request is not None,
                work.level,
                work.escalation_failed,
                orjson.dumps(shown, option=orjson.OPT_UTC_Z).decode(),
            )

    return rows


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the assignments is wanted; None and empty mean all. `status` may be `open`."""

    unit: str | None = None
    area: str | None = None
    status: str | None = None
    light: str | None = None
    due_before: datetime | None = None
    lead: bool | None = None
    within: tuple[str, ...] = ()
    """The caller's areas."""
    units: frozenset[str] | None = None
    """The units a partner may see; None: all."""
    cases: frozenset[str] | None = None


_LIGHT = (
    "CASE WHEN retrospective THEN 'none' WHEN $1 >= red_at THEN 'red' WHEN $1 >= yellow_at THEN 'yellow'"
    " ELSE 'green' END"
)


def _where(filters: Filters, now: datetime) -> tuple[str, list[Any]]:
    """A WHERE clause and its arguments; $1 is `now`."""
    clauses, arguments = ["$1::timestamptz IS NOT NULL"], [now]

    def add(clause: str, value: Any) -> None:
        arguments.append(value)
        clauses.append(clause.replace("$n", f"${len(arguments)}"))

    if filters.unit is not None:
        add("unit = $n", filters.unit)
    if filters.units is not None:
        add("unit = ANY($n::text[])", sorted(filters.units))
    if filters.area is not None:
        add("(area = $n OR area LIKE $n || '/%')", filters.area)
    if filters.within:
        add("EXISTS (SELECT FROM unnest($n::text[]) own WHERE area = own OR area LIKE own || '/%')", [*filters.within])
    if filters.status == "open":
        clauses.append("open")
    elif filters.status is not None:
        add("status = $n", filters.status)
    if filters.light is not None:
        clauses.append("open")
        add(f"{_LIGHT} = $n", filters.light)
    if filters.due_before is not None:
        add("due_at < $n", filters.due_before)
    if filters.lead is not None:
        add("lead = $n", filters.lead)
    if filters.cases is not None:
        add("case_id = ANY($n::text[])", sorted(filters.cases))
    return " AND ".join(clauses), arguments


@dataclass(frozen=True, slots=True)
class Found:
    """An assignment as found: where it stands in the list's order, and what is shown."""

    due_at: datetime
    shown: dict[str, Any]


async def assignments(
    database: Database, filters: Filters, now: datetime, *, limit: int, after: tuple[datetime, str] | None = None
) -> list[Found]:
    """The next `limit` assignments by what is due first."""
    where, arguments = _where(filters, now)
    if after is not None:
        arguments += after
        where += f" AND (due_at, assignment_id) > (${len(arguments) - 1}, ${len(arguments)})"
    rows = await database.fetch(
        f"SELECT due_at, yellow_at, red_at, item FROM assignments WHERE {where}"
        f" ORDER BY due_at, assignment_id LIMIT {limit:d}",
        *arguments,
    )
    return [Found(row["due_at"], _shown(row, now)) for row in rows]


async def assignment(database: Database, assignment_id: str, now: datetime) -> tuple[dict[str, Any], int] | None:
    """One assignment and its case's version."""
    row = await database.fetchrow(
        "SELECT yellow_at, red_at, item, version FROM assignments JOIN streams ON stream_id = case_id"
        " WHERE assignment_id = $1",
        assignment_id,
    )
    return (_shown(row, now), row["version"]) if row else None


async def case(database: Database, case_id: str, now: datetime) -> tuple[dict[str, Any], int] | None:
    """One case with all its assignments, and its version; of one moment, although it takes two tables."""
    rows = await database.fetch(
        "SELECT c.*, s.version, a.yellow_at, a.red_at, a.item FROM cases c"
        " JOIN streams s ON s.stream_id = c.case_id JOIN assignments a USING (case_id)"
        " WHERE c.case_id = $1 ORDER BY string_to_array(split_part(a.assignment_id, '.', 2) || '.'"
        " || split_part(a.assignment_id, '.', 3), '.')::integer[]",
        case_id,
    )
    if not rows:
        return None
    found = {name: rows[0][name] for name in _CASES}
    return {**found, "assignments": [_shown(row, now) for row in rows]}, rows[0]["version"]


def _shown(row: Any, now: datetime) -> dict[str, Any]:
    return lit(orjson.loads(row["item"]), row["yellow_at"], row["red_at"], now)


async def board(database: Database, filters: Filters, now: datetime, since: datetime) -> dict[str, Any]:
    """How many assignments are open, by status and light, and how many have ended since `since`, by outcome."""
    where, arguments = _where(filters, now)
    opened = await database.fetch(
        f"SELECT status, {_LIGHT} AS light, count(*) AS number, count(*) FILTER (WHERE supervised) AS supervised,"
        " count(*) FILTER (WHERE urged > 0) AS urged, count(*) FILTER (WHERE extension_pending) AS extension_pending,"
        " count(*) FILTER (WHERE escalation_level > 0) AS escalated,"
        " count(*) FILTER (WHERE escalation_failed) AS escalation_failed"
        f" FROM assignments WHERE open AND {where} GROUP BY 1, 2",
        *arguments,
    )
    ended = await database.fetch(
        "SELECT status, count(*) AS number, count(*) FILTER (WHERE late_by_seconds > 0) AS late"
        f" FROM assignments WHERE {where} AND ended_at >= ${len(arguments) + 1} GROUP BY 1",
        *arguments,
        since,
    )
    return {
        "as_of": now,
        "open": _total(opened, "number"),
        "by_status": _by(opened, "status", OPEN),
        "by_light": _by(opened, "light", ("green", "yellow", "red", "none")),
        **{name: _total(opened, name) for name in _FLAGS},
        "ended_since": since,
        "ended": _by(ended, "status", ("fixed", "returned", "escalated", "cancelled")),
        "ended_late": _total(ended, "late"),
    }


_FLAGS = ("supervised", "urged", "extension_pending", "escalated", "escalation_failed")


def _by(rows: Sequence[Any], name: str, all_of: Sequence[str]) -> dict[str, int]:
    return {one: sum(row["number"] for row in rows if row[name] == one) for one in all_of}


def _total(rows: Sequence[Any], name: str) -> int:
    return sum(row[name] for row in rows)

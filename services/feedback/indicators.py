"""The figures of a period by unit, area or category, and the cases behind each number.

Every number is a count, a sum or a distribution over a population; the list behind it is that same population, from
the same SQL. A population holds only what had happened by `as_of`, and a member counts under the category, the area and
the unit of the instant that counts for it, all by the events' own times. So a period gives the same numbers on any day.
Only a case that is entered long after the fact adds to them, at its claimed times; and what the caller may not read
today counts no more, whatever it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlencode

from chassis.engine.commands import Unusable
from chassis.store.conditions import Conditions
from chassis.store.database import Database
from chassis.web.paging import page, position
from contracts.fields import instant
from contracts.reading import Scope
from contracts.reference import Level
from services.feedback.domain import formulas
from services.feedback.domain.formulas import Formula
from services.feedback.indicator_bodies import BehindFilters, IndicatorFilters, Population
from services.feedback.queries import Row, listed, own_cases

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_DEPTH: Mapping[str, int] = {level: depth for depth, level in enumerate(get_args(Level), start=1)}


@dataclass(frozen=True, slots=True)
class Period:
    """The period, and the instant as of which it is seen."""

    since: datetime
    until: datetime
    as_of: datetime

    @classmethod
    def of(cls, filters: IndicatorFilters, now: datetime) -> "Period":
        """The period that the filters name. Raises `Unusable`."""
        since, until = filters.since or _BEGINNING, filters.until or now
        if until < since:
            raise Unusable("until", "lies before since")
        if filters.as_of is not None and filters.as_of > now:
            raise Unusable("as_of", "lies in the future, of which nothing is known")
        return cls(since, until, filters.as_of or min(until, now))


@dataclass(frozen=True, slots=True)
class Figure:
    """An indicator: `value` where the database works it out, else the share that `part` has of the population `of`."""

    formula: Formula
    of: Population
    part: Population | None = None
    value: str | None = None


FIGURES: Mapping[str, Figure] = {
    "closing_rate": Figure(formulas.CLOSING_RATE, "due", part="closed"),
    "on_time_closing_rate": Figure(formulas.ON_TIME_CLOSING_RATE, "due", part="on_time"),
    "rework_rate": Figure(formulas.REWORK_RATE, "due", part="reworked"),
    "acknowledgement_p50": Figure(formulas.ACKNOWLEDGEMENT_P50, "acknowledged", value="acknowledgement_p50"),
    "acknowledgement_p90": Figure(formulas.ACKNOWLEDGEMENT_P90, "acknowledged", value="acknowledgement_p90"),
    "arrival_p50": Figure(formulas.ARRIVAL_P50, "arrived", value="arrival_p50"),
    "arrival_p90": Figure(formulas.ARRIVAL_P90, "arrived", value="arrival_p90"),
    "dispatch_accuracy": Figure(formulas.DISPATCH_ACCURACY, "ended", part="kept"),
    "urges": Figure(formulas.URGES, "ended", part="urged", value="urges"),
    "supervisions": Figure(formulas.SUPERVISIONS, "ended", part="supervised", value="supervised"),
    "satisfaction": Figure(formulas.SATISFACTION, "rated", value="satisfaction"),
}


def _in_force(at: str) -> str:
    """The condition that a ruling `r` was in force at an instant."""
    return f"r.in_force_since <= {at} AND (r.in_force_until IS NULL OR r.in_force_until > {at})"


# $1 since, $2 until, $3 as of. Each population has the columns case_id, category, area and unit: those of the instant
# that counts for its members, so that what is ruled later does not change them.
_FACTS = f"""
due AS (
    SELECT c.case_id, r.category, r.area, c.lead_unit AS unit, true AS closed,
           c.outcome = 'fixed' AND c.late_by_seconds = 0 AS on_time, c.reworks > 0 AS reworked
      FROM cases c JOIN rulings r ON r.case_id = c.case_id AND {_in_force("c.closed_at")}
     WHERE c.closed_at >= $1 AND c.closed_at < $2 AND c.closed_at <= $3 AND c.outcome IN ('fixed', 'forced')
    UNION ALL
    SELECT c.case_id, r.category, r.area, lead.unit, false, false,
           EXISTS (SELECT FROM assignments a WHERE a.case_id = c.case_id AND a.failed_at <= $3)
      FROM cases c
      JOIN rulings r ON r.case_id = c.case_id AND {_in_force("$3")}
     CROSS JOIN LATERAL (
           SELECT CASE WHEN a.ended_at <= $3 THEN a.unit ELSE a.given_to END AS unit,
                  CASE WHEN a.ended_at <= $3 THEN a.resolve_by ELSE coalesce(granted.due_at, a.planned_by) END AS due_at
             FROM assignments a
             LEFT JOIN LATERAL (
                  SELECT (one ->> 'due_at')::timestamptz AS due_at
                    FROM jsonb_array_elements(a.extended) WITH ORDINALITY AS extension (one, number)
                   WHERE (one ->> 'granted_at')::timestamptz <= $3
                   ORDER BY number DESC LIMIT 1) AS granted ON true
            WHERE a.case_id = c.case_id AND a.lead AND a.given_at <= $3
            ORDER BY a.round DESC, a.assignment_id LIMIT 1) AS lead
     WHERE c.filed_at < $2 AND (c.closed_at IS NULL OR c.closed_at > $3) AND lead.due_at <= $3
),
ended AS (
    SELECT a.case_id, r.category, r.area, a.unit,
           a.outcome, a.acknowledge_seconds, a.arrive_seconds, a.urged, a.supervised
      FROM assignments a JOIN rulings r ON r.case_id = a.case_id AND {_in_force("a.ended_at")}
     WHERE a.ended_at >= $1 AND a.ended_at < $2 AND a.ended_at <= $3 AND a.outcome <> 'cancelled'
),
rated AS (
    SELECT given.case_id, coalesce(r.category, c.category) AS category, coalesce(r.area, c.area) AS area,
           c.lead_unit AS unit, given.rating
      FROM ratings given JOIN cases c USING (case_id)
      LEFT JOIN rulings r ON r.case_id = given.case_id AND {_in_force("given.rated_at")}
     WHERE given.rated_at >= $1 AND given.rated_at < $2 AND given.rated_at <= $3
       AND given.counts
)"""

_POPULATIONS: Mapping[Population, tuple[str, str]] = {
    "due": ("due", "true"),
    "closed": ("due", "closed"),
    "on_time": ("due", "on_time"),
    "open_overdue": ("due", "NOT closed"),
    "reworked": ("due", "reworked"),
    "ended": ("ended", "true"),
    "kept": ("ended", "outcome <> 'returned'"),
    "returned": ("ended", "outcome = 'returned'"),
    "acknowledged": ("ended", "acknowledge_seconds IS NOT NULL"),
    "arrived": ("ended", "arrive_seconds IS NOT NULL"),
    "urged": ("ended", "urged > 0"),
    "supervised": ("ended", "supervised"),
    "rated": ("rated", "true"),
}
"""Population -> where its members come from, and which of them."""


def _group(table: Population | str, *values: str) -> str:
    counts = [
        f"count(*) FILTER (WHERE {which}) AS {name}"
        for name, (source, which) in _POPULATIONS.items()
        if source == table
    ]
    return f"SELECT {{key}} AS key, {', '.join((*counts, *values))} FROM {table} WHERE {{where}} GROUP BY 1"


_ENDED_VALUES = (
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY acknowledge_seconds) AS acknowledgement_p50",
    "percentile_cont(0.9) WITHIN GROUP (ORDER BY acknowledge_seconds) AS acknowledgement_p90",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY arrive_seconds) AS arrival_p50",
    "percentile_cont(0.9) WITHIN GROUP (ORDER BY arrive_seconds) AS arrival_p90",
    "sum(urged)::bigint AS urges",
)
_GROUPS = f"""
WITH {_FACTS},
d AS ({_group("due")}),
e AS ({_group("ended", *_ENDED_VALUES)}),
r AS ({_group("rated", "avg(rating)::double precision AS satisfaction")})
SELECT * FROM d FULL JOIN e USING (key) FULL JOIN r USING (key)
 WHERE key IS NOT NULL AND {{after}} ORDER BY key LIMIT {{limit}}
"""
_BEHIND: Mapping[Population, str] = {
    population: f"""
WITH {_FACTS}
SELECT * FROM cases
 WHERE case_id IN (SELECT case_id FROM {table} WHERE {which} AND {{where}} AND {{key}} = {{wanted}})
   AND {{after}} ORDER BY case_id DESC LIMIT {{limit}}
"""
    for population, (table, which) in _POPULATIONS.items()
}


async def figures(database: Database, filters: IndicatorFilters, period: Period, scope: Scope) -> Row:
    """A page of groups in the order of their keys, each with all figures."""
    wanted, key = _narrowed(filters, period, scope)
    sql = _GROUPS.format(
        key=key,
        where=wanted.where,
        after=_beyond(wanted, "key > ", filters.cursor),
        limit=wanted.place(filters.limit + 1),
    )
    groups = await database.fetch(sql, *wanted.arguments)
    items = [{"key": group["key"], "indicators": _figures(filters, period, group)} for group in groups]
    return {
        "by": filters.by,
        "level": filters.level,
        "since": period.since,
        "until": period.until,
        "as_of": period.as_of,
        **page(items, filters.limit, lambda group: [group["key"]]),
    }


async def behind(database: Database, filters: BehindFilters, period: Period, scope: Scope) -> Row:
    """A page of the cases behind a number, newest first."""
    wanted, key = _narrowed(filters, period, scope)
    sql = _BEHIND[filters.population].format(
        key=key,
        where=wanted.where,
        wanted=wanted.place(filters.key),
        after=_beyond(wanted, "case_id < ", filters.cursor),
        limit=wanted.place(filters.limit + 1),
    )
    rows = await database.fetch(sql, *wanted.arguments)
    return page([listed(row, scope) for row in rows], filters.limit, lambda row: [row["case_id"]])


def _narrowed(filters: IndicatorFilters, period: Period, scope: Scope) -> tuple[Conditions, str]:
    """What members of the populations must fulfil, and the expression of the key they are grouped by."""
    wanted = Conditions(period.since, period.until, period.as_of)
    own = f"unit = ANY({wanted.place(sorted(scope.units))}::text[])" if scope.units and not scope.everywhere else None
    wanted.visible(scope, own)
    if not scope.whole:  # as what the case is today, too: a number would tell of what the list behind it hides
        today = Conditions(*wanted.arguments)
        today.visible(scope, own_cases(today, scope))
        wanted.arguments = today.arguments
        wanted.add(f"case_id IN (SELECT case_id FROM cases WHERE {today.where})")
    wanted.in_area("area", filters.area)
    wanted.below("category", filters.category)
    wanted.equals("unit", filters.unit)
    if filters.by == "area":
        key = _area_at(_DEPTH[filters.level])
    else:
        key = {"all": "'all'", "unit": "unit", "category": "category"}[filters.by]
    return wanted, f'({key}) COLLATE "C"'


def _area_at(depth: int) -> str:
    """`contracts.territory.upto` in SQL: null where the area is wider."""
    parts = "string_to_array(area, '/')"
    return f"CASE WHEN cardinality({parts}) >= {depth} THEN array_to_string(({parts})[1:{depth}], '/') END"


def _beyond(wanted: Conditions, comparison: str, cursor: str | None) -> str:
    """The condition that the rows stand behind the cursor."""
    after = position(cursor, str)
    return "true" if after is None else comparison + wanted.place(after[0])


def _figures(filters: IndicatorFilters, period: Period, group: Any) -> Row:
    def link(population: Population) -> str:
        return _link(filters, period, population, group["key"])

    return {
        name: {
            "formula": figure.formula.id,
            "value": _value(figure, group),
            "of": group[figure.of] or 0,
            "cases": link(figure.of),
            "part": group[figure.part] or 0 if figure.part else None,
            "part_cases": link(figure.part) if figure.part else None,
        }
        for name, figure in FIGURES.items()
    }


def _value(figure: Figure, group: Any) -> float | None:
    """The figure of a group; None where its population is empty."""
    if not group[figure.of]:
        return None
    if figure.value is not None:
        return group[figure.value]
    assert figure.part is not None
    return (group[figure.part] or 0) / group[figure.of]


def _link(filters: IndicatorFilters, period: Period, population: Population, key: str) -> str:
    asked = {
        "population": population,
        "key": key,
        **filters.model_dump(include={"by", "level", "unit", "area", "category"}, exclude_none=True),
        "since": instant(period.since),
        "until": instant(period.until),
        "as_of": instant(period.as_of),
    }
    return "/indicators/cases?" + urlencode(asked)

"""The figures of a period by unit, area or category, and the cases behind each number.

Every number is a count, a sum or a distribution over a population; the list behind it is that same population, from
the same SQL. A population holds only what had happened by `as_of`, by the events' own times, so that a period gives the
same numbers on any day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from chassis.database import Database
from services.feedback.domain import formulas
from services.feedback.domain.formulas import Formula
from services.feedback.views.queries import Row, shown

By = Literal["all", "unit", "area", "category"]
Level = Literal["district", "street", "community", "grid", "subgrid"]
Population = Literal[
    "due",
    "closed",
    "on_time",
    "open_overdue",
    "reworked",
    "ended",
    "kept",
    "returned",
    "acknowledged",
    "arrived",
    "urged",
    "supervised",
    "rated",
]


@dataclass(frozen=True, slots=True)
class Question:
    """Which period, seen from which instant, grouped how, and narrowed to what."""

    since: datetime
    until: datetime
    as_of: datetime
    by: By
    level: Level = "street"
    unit: str | None = None
    area: str | None = None
    category: str | None = None


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

_DEPTH: Mapping[str, int] = {level: depth for depth, level in enumerate(get_args(Level), start=1)}

# $1 since, $2 until, $3 as of; each with the columns `case_id`, `area`, `category`, `unit`.
_FACTS = """
due AS (
    SELECT case_id, area, category, lead_unit AS unit, true AS closed,
           outcome = 'fixed' AND late_by_seconds = 0 AS on_time, reworks > 0 AS reworked
      FROM cases
     WHERE closed_at >= $1 AND closed_at < $2 AND closed_at <= $3 AND outcome IN ('fixed', 'forced')
    UNION ALL
    SELECT c.case_id, c.area, c.category, lead.unit, false, false,
           EXISTS (SELECT FROM assignments a WHERE a.case_id = c.case_id AND a.failed_at <= $3)
      FROM cases c
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
    SELECT a.case_id, c.area, c.category, a.unit,
           a.outcome, a.acknowledge_seconds, a.arrive_seconds, a.urged, a.supervised
      FROM assignments a JOIN cases c USING (case_id)
     WHERE a.ended_at >= $1 AND a.ended_at < $2 AND a.ended_at <= $3 AND a.outcome <> 'cancelled'
),
rated AS (
    SELECT r.case_id, c.area, c.category, c.lead_unit AS unit, r.rating
      FROM ratings r JOIN cases c USING (case_id)
     WHERE r.rated_at >= $1 AND r.rated_at < $2 AND r.rated_at <= $3
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

_NARROWED = """($4::text IS NULL OR unit = $4)
   AND ($5::text IS NULL OR area = $5 OR area LIKE $5 || '/%')
   AND ($6::text IS NULL OR category = $6 OR starts_with(category, $6 || '.'))"""

# $7 what to group by, $8 how many parts of the area path.
_KEY = """(CASE $7::text WHEN 'all' THEN 'all' WHEN 'unit' THEN unit WHEN 'category' THEN category
    ELSE array_to_string((string_to_array(area, '/'))[1:$8::integer], '/') END) COLLATE "C" """


def _group(table: str, *values: str) -> str:
    counts = [
        f"count(*) FILTER (WHERE {which}) AS {name}"
        for name, (source, which) in _POPULATIONS.items()
        if source == table
    ]
    columns = ", ".join((f"{_KEY} AS key", *counts, *values))
    return f"SELECT {columns} FROM {table} WHERE {_NARROWED} GROUP BY 1"


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
 WHERE key IS NOT NULL AND ($9::text IS NULL OR key > $9) ORDER BY key LIMIT $10
"""

_BEHIND: Mapping[Population, str] = {
    population: f"""
WITH {_FACTS}
SELECT * FROM cases
 WHERE case_id IN (SELECT case_id FROM {table} WHERE {which} AND {_NARROWED} AND {_KEY} = $9)
   AND ($10::text IS NULL OR case_id < $10) ORDER BY case_id DESC LIMIT $11
"""
    for population, (table, which) in _POPULATIONS.items()
}


async def groups(database: Database, question: Question, *, after: str | None, limit: int) -> list[Row]:
    """A row per group, by key: the size of every population, and the values that the database works out."""
    rows = await database.fetch(_GROUPS, *_arguments(question), after, limit)
    return [dict(row) for row in rows]


async def behind(
    database: Database, question: Question, population: Population, key: str, *, before: str | None, limit: int
) -> list[Row]:
    """The cases behind a number, newest first."""
    rows = await database.fetch(_BEHIND[population], *_arguments(question), key, before, limit)
    return [shown(row) for row in rows]


def value_of(figure: Figure, group: Row) -> float | None:
    """The figure of a group; None where its population is empty."""
    if not group[figure.of]:
        return None
    if figure.value is not None:
        return group[figure.value]
    assert figure.part is not None
    return (group[figure.part] or 0) / group[figure.of]


def _arguments(question: Question) -> Sequence[Any]:
    return (
        question.since,
        question.until,
        question.as_of,
        question.unit,
        question.area,
        question.category,
        question.by,
        _DEPTH[question.level],
    )

"""Cases that a partner offers over its topic: all at once, or so many a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from chassis.kafka.connection import Connection
from contracts.reference import Area
from deploy.bench.chain import Partner, Timeline, places
from deploy.bench.database import connected
from deploy.bench.meter import Meter, between
from deploy.simulation.city import City
from deploy.stack.problem import Problem

Tell = Callable[[str], None]
_BEHIND = 0.1
"""Of the time in which cases are offered,"""
_LAST_SECONDS = 1.0
"""and beside it for the last ones: so much later may they be closed by a stack that keeps up."""
_AUDITED = """
SELECT case_id, extract(epoch FROM min(stored_at))::float8 AS at
  FROM audit.log WHERE case_id = ANY($1) AND type LIKE 'casegrid.Evaluated.%' GROUP BY case_id
"""


@dataclass(frozen=True)
class Ground:
    """What all phases of one run share. `broker` is the partner's connection, `database` an administrator's URL."""

    city: City
    broker: Connection
    database: str
    areas: Sequence[Area]
    meter: Meter
    tell: Tell
    timeout: float


@dataclass(frozen=True)
class Course:
    """When each case of a phase was filed, and by name of what came later when that came; by the monotonic clock."""

    filed: Mapping[str, float]
    later: Mapping[str, Mapping[str, float]]


async def measured(ground: Ground, work: Callable[[], Awaitable[Course]]) -> dict[str, Any]:
    """The figures of cases that the work files and has closed, until all is at rest again. Raises `TimeoutError`."""
    await settled(ground)
    before = await ground.meter.begin()
    began = time.monotonic()
    course = await work()
    audited_after = await audited(ground, set(course.filed), began)
    await settled(ground)
    cost = between(before, await ground.meter.read())
    at = await times_audited(ground.database, course.filed)
    cases = len(course.filed)
    return {
        "cases": cases,
        "audited_seconds": audited_after,
        "cases_per_second": cases / audited_after,
        **spreads(course.filed, {**course.later, "audited": at}),
        **cost.per(cases),
    }


async def offer(ground: Ground, name: str, cases: int, rate: float | None) -> tuple[dict[str, Any], list[bytes]]:
    """The figures of a phase, and the reports as they were sent. Raises `TimeoutError` and `Problem`."""
    partner = Partner(ground.broker, places(ground.areas, cases), _progress(name, cases, ground.tell))
    closed_after = 0.0

    async def work() -> Course:
        nonlocal closed_after
        began = time.monotonic()
        line = await partner.run(rate=rate, timeout_seconds=ground.timeout)
        closed_after = time.monotonic() - began
        return Course(line.filed, {"assigned": line.assigned, "closed": line.closed})

    figures = await measured(ground, work)
    kept_up = kept_pace(cases, rate, closed_after)
    return {
        "offered_per_second": rate,
        "kept_up": kept_up,
        "closed_seconds": closed_after,
        **figures,
    }, partner.timeline.messages


def kept_pace(cases: int, rate: float | None, seconds: float) -> bool:
    """Whether so many cases, offered at that rate, were closed about as fast as they came."""
    return rate is None or seconds <= cases / rate * (1 + _BEHIND) + _LAST_SECONDS


def spreads(filed: Mapping[str, float], ends: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """`filed_to_<name>_ms` for each of these ends. Every case must have reached each."""
    return {
        f"filed_to_{name}_ms": spread([(at[case] - began) * 1000 for case, began in filed.items()])
        for name, at in ends.items()
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max. There must be two values at least."""
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}


async def settled(ground: Ground) -> None:
    """Waits until all services have read all, and PostgreSQL's sessions have reported what they did."""
    await until(ground.city, "all read", lambda health: not any(health["consumer"]["lag"].values()), *ground.city.urls)
    await ground.meter.still()


async def until(city: City, what: str, true: Callable[[dict[str, Any]], bool], *services: str) -> None:
    """Waits until that is true of the health of each of these services. Raises `Problem` after a minute."""
    deadline = time.monotonic() + 60
    operator = city.person("operator:bench", "administrator")
    for name in services:
        while not true(await operator.get(name, "/health")):
            if time.monotonic() > deadline:
                raise Problem(f"{name}: {what} did not come true in a minute")
            await asyncio.sleep(0.1)


async def audited(ground: Ground, cases: set[str], began: float) -> float:
    """Seconds from `began` until audit shows every case as closed. Raises `TimeoutError`."""
    auditor, last = ground.city.person("bench", "auditor"), max(cases)
    deadline = time.monotonic() + ground.timeout
    closed = 0
    while time.monotonic() < deadline:
        shown = await auditor.get("audit", "/summary", since_case=min(cases), until_case=last)
        if (closed := shown["closed"]) >= len(cases):
            return time.monotonic() - began
        await asyncio.sleep(0.5)
    raise TimeoutError(f"audit had {closed} of {len(cases)} cases closed within {ground.timeout:.0f} s")


async def times_audited(database: str, filed: Mapping[str, float]) -> dict[str, float]:
    """When audit stored each case's verdict, by the monotonic clock of this process."""
    offset = time.time() - time.monotonic()
    async with connected(database) as connection:
        rows = await connection.fetch(_AUDITED, list(filed))
    return {row["case_id"]: row["at"] - offset for row in rows}


def _progress(name: str, cases: int, tell: Tell) -> Callable[[Timeline], None]:
    shown = 0.0

    def show(line: Timeline) -> None:
        nonlocal shown
        if time.monotonic() - shown > 2:
            shown = time.monotonic()
            tell(f"{name}: filed {len(line.filed)}  assigned {len(line.assigned)}  closed {len(line.closed)} / {cases}")

    return show

"""What an answer to a GET takes: processor time of its service, and of the database for it, by kind of question."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.bench.chain import UNIT
from deploy.bench.client import Client
from deploy.bench.database import connected
from deploy.bench.meter import between
from deploy.bench.phases import Ground, settled, spread

_CALLERS = 4
_IDLE_SECONDS = 3.0
_ONES = "SELECT case_id, area FROM intake.reports WHERE area IS NOT NULL ORDER BY random() LIMIT $1"


@dataclass(frozen=True)
class Kind:
    """A question to a service. `path` may name `{case}` and `{area}`; `role` is who asks."""

    service: str
    path: str
    role: str
    times: int = 300


KINDS: Sequence[Kind] = (
    Kind("intake", "/reports/{case}", "acceptor"),
    Kind("triage", "/cases/{case}", "dispatcher"),
    Kind("dispatch", "/cases/{case}", "dispatcher"),
    Kind("feedback", "/cases/{case}", "dispatcher"),
    Kind("audit", "/cases/{case}", "auditor", 100),
    Kind("intake", "/reports?limit=50", "acceptor", 100),
    Kind("intake", "/reports?area={area}&limit=50", "acceptor", 100),
    Kind("intake", "/reports?status=closed&limit=50", "acceptor", 100),
    Kind("triage", "/cases?area={area}&limit=50", "dispatcher", 100),
    Kind("dispatch", "/assignments?unit=" + UNIT + "&limit=50", "dispatcher", 100),
    Kind("dispatch", "/assignments?area={area}&status=fixed&limit=50", "dispatcher", 100),
    Kind("dispatch", "/assignments?status=open&limit=50", "dispatcher", 100),
    Kind("feedback", "/cases?limit=50", "dispatcher", 100),
    Kind("feedback", "/cases?area={area}&limit=50", "dispatcher", 100),
    Kind("feedback", "/cases?unit=" + UNIT + "&limit=50", "dispatcher", 100),
    Kind("feedback", "/checks?limit=50", "dispatcher", 100),
    Kind("audit", "/cases?area={area}&limit=50", "auditor", 100),
    Kind("dispatch", "/board", "dispatcher", 5),
    Kind("audit", "/summary", "auditor", 3),
)
"""Single cases, lists, and in the end what counts over the history, which has to grow with it."""


async def costs(ground: Ground) -> list[dict[str, Any]]:
    """The figures of each kind, in microseconds of processor time without what the idle process takes."""
    await settled(ground)
    ones = await _ones(ground.database, max(kind.times for kind in KINDS))
    idle = await _idle(ground)
    return [await _cost(ground, kind, ones, idle) for kind in KINDS]


async def _ones(database: str, most: int) -> list[Mapping[str, str]]:
    async with connected(database) as connection:
        return [{"case": row["case_id"], "area": row["area"]} for row in await connection.fetch(_ONES, most)]


async def _idle(ground: Ground) -> Mapping[str, tuple[float, float]]:
    """Service -> seconds a second of its process, and of the database for it."""
    before = await ground.meter.begin()
    await asyncio.sleep(_IDLE_SECONDS)
    spent = between(before, await ground.meter.read())
    return {
        name: (spent.cpu[name] / spent.seconds, spent.backends.get(name, 0.0) / spent.seconds) for name in spent.cpu
    }


async def _cost(
    ground: Ground, kind: Kind, ones: Sequence[Mapping[str, str]], idle: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    headers = ground.city.person("bench", kind.role).headers
    work = iter([kind.path.format_map(ones[n % len(ones)]) for n in range(kind.times)])
    took: list[float] = []

    async def ask() -> None:
        async with Client(ground.city.urls[kind.service]) as client:
            for path in work:
                began = time.monotonic()
                await client.get(path, headers)
                took.append((time.monotonic() - began) * 1000)

    before = await ground.meter.begin()
    await asyncio.gather(*(ask() for _ in range(_CALLERS)))
    spent = between(before, await ground.meter.read())
    service, database = idle[kind.service]
    return {
        "service": kind.service,
        "path": kind.path,
        "service_us": max(0.0, spent.cpu[kind.service] - service * spent.seconds) / kind.times * 1e6,
        "database_us": max(0.0, spent.backends.get(kind.service, 0.0) - database * spent.seconds) / kind.times * 1e6,
        "answer_ms": spread(took),
    }

"""Runs the services in turn on the same messages, so that a busy minute of the machine hits all of them."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chassis.ids import uuid7
from chassis.store.migrations import migrate
from contracts.fields import Place
from contracts.homes import HOMES, topic_from
from contracts.intake import NewReport
from contracts.wire import Circumstances, build, parse
from deploy.bench import environment
from deploy.bench.chain import PARTNER
from deploy.bench.database import SCHEMA, connected
from deploy.bench.peers import ours
from deploy.bench.peers.ours import FROM
from deploy.bench.peers.turn import RATE, Message, Servers, Service, Spent, turn
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

LOCK = Path(__file__).with_name("requirements.lock")
_TABLES = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.reports (event_id uuid PRIMARY KEY, case_id text NOT NULL, body bytea NOT NULL);
"""


@dataclass(frozen=True)
class Size:
    """How many messages: to warm up, at once, one by one; and how often each service has its turn."""

    warm: int = 1_000
    at_once: int = 5_000
    paced: int = 500
    rounds: int = 2


WHOLE = Size()


async def costs(here: Servers, reports: Sequence[bytes], size: Size = WHOLE) -> dict[str, Any]:
    """Service -> figures of messages at once, and `paced`: one by one. `reports` are as partner `bench` sent them.

    Raises `Problem` where a service cannot be had, or does not do its work.
    """
    compared = services((await asyncio.to_thread(environment.programs, here.tell, LOCK, "peers")) / "python")
    messages = facts(reports, size.warm + size.at_once + size.paced)
    parts = (messages[: size.warm], messages[size.warm : -size.paced], messages[-size.paced :])
    found: dict[str, tuple[Spent, Spent]] = {}
    for number in range(1, size.rounds + 1):
        for service in compared:
            at_once, paced = await turn(here, service, *parts)
            here.tell(f"peers: {service.name}, {number} of {size.rounds}: {at_once.cpu_us:.0f} us a message")
            before = found.get(service.name, (Spent(), Spent()))
            found[service.name] = before[0] + at_once, before[1] + paced
    return {
        name: {**at_once.figures(), "paced": {**paced.figures(), "offered_per_second": RATE}}
        for name, (at_once, paced) in found.items()
    }


def facts(reports: Sequence[bytes], count: int) -> list[Message]:
    """What intake would publish of so many reports, each of a new case; fewer reports are repeated."""
    said = [parse(topic_from(PARTNER), raw).data for raw in reports[:count]]
    return [_fact(said[n % len(said)]) for n in range(count)]


def _fact(said: Any) -> Message:
    now = datetime.now(UTC)
    case = uuid7(now)
    fact = NewReport(
        channel=said.channel,
        reported_by=PARTNER,
        title=said.title,
        text=said.text,
        category=said.category,
        place=Place(point=said.place.point, area=said.place.area),
    )
    around = Circumstances(uuid7(now), HOMES[FROM], case, now, now, 1, actor=f"{PARTNER}:system")
    return case.encode(), build(fact, around)[1]


def services(peers: Path) -> list[Service]:
    """The compared services; `peers` is the interpreter of the peers."""

    def module(python: Path | str, name: str) -> tuple[str, ...]:
        return str(python), "-m", f"{__package__}.{name}"

    with_outbox = module(peers, "outbox_service")

    async def tables(url: str, _: Mapping[str, str]) -> None:
        async with connected(url) as connection:
            await connection.execute(_TABLES)

    async def outbox(url: str, given: Mapping[str, str]) -> None:
        await tables(url, given)
        making = await asyncio.create_subprocess_exec(*with_outbox, "create", env=dict(given), cwd=ROOT)
        if await making.wait() != 0:
            raise Problem("the table of faststream-outbox could not be made: what it said stands above")

    async def migrated(url: str, _: Mapping[str, str]) -> None:
        await migrate(url, ours.NAME, None, ours.MIGRATIONS)

    rows = "SELECT count(*) FROM bench.reports"
    return [
        Service("faststream_asyncpg", module(peers, "faststream_service"), tables, rows),
        Service("faststream_outbox", with_outbox, outbox, f"SELECT ({rows}) - (SELECT count(*) FROM bench.outbox)"),
        Service("ours", module(sys.executable, "ours"), migrated, "SELECT count(*) FROM bench.events WHERE NOT own"),
    ]

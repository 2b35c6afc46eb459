"""Runs services inside the test's process, calls them as people of given roles, and waits for conditions."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
import jwt
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from chassis.clock import Clock
from chassis.engine.model import Model
from chassis.engine.returning import Returning
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.runtime import Runtime, application
from chassis.service import Service
from chassis.settings import AUDIENCE, DEVELOPMENT_KEY, ISSUER, Settings
from chassis.store.database import Connection, Database
from chassis.store.transaction import Transaction
from contracts.envelope import Event
from contracts.roles import needs_areas
from contracts.wire import reread
from tests.support.answers import Watched

R = TypeVar("R")

NOWHERE = "127.0.0.1:1"
"""Where no broker is."""


def token(
    subject: str,
    *roles: str,
    unit: str | None = None,
    areas: tuple[str, ...] | None = None,
    expires_in: float = 3600,
) -> dict[str, str]:
    """Headers of a person with these roles, by the shared key that a service takes on loopback; in the whole district,
    unless areas are named, or none of them: `()`.
    """
    if areas is None:
        areas = ("CH",) if needs_areas(roles) else ()
    claims = {
        "iss": ISSUER,
        "sub": subject,
        "roles": list(roles),
        "unit": unit,
        "areas": list(areas),
        "aud": AUDIENCE,
        "exp": time.time() + expires_in,
    }
    return {"authorization": "Bearer " + jwt.encode(claims, DEVELOPMENT_KEY, "HS256")}


async def eventually(
    condition: Callable[[], Awaitable[R]], *, seconds: float = 20.0, every: float = 0.02, what: str = ""
) -> R:
    """The first truthy outcome of `condition`; fails with the last one when the deadline has passed."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true in {seconds} s; last: {found!r}")
        tick = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(every, tick.set_result, None)
        await tick


class Hands:
    """A clock that a test moves by hand."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> None:
        """Moves on by a timedelta's arguments."""
        self.at += timedelta(**span)


@dataclass
class Running:
    """A service in this process: its runtime, and a client that speaks to it."""

    runtime: Runtime
    client: httpx.AsyncClient


@asynccontextmanager
async def running(
    service: Service,
    database_url: str,
    *,
    kafka: str = NOWHERE,
    prefix: str = "",
    role: str = "both",
    clock: Clock | None = None,
    reached: bool = True,
    **more: Any,
) -> AsyncIterator[Running]:
    """A service with all its parts; with the default `kafka` no broker is there, and HTTP works all the same. It has
    reached its database, unless `reached` is false.

    At its end every status that it answered with must be declared in its OpenAPI document.
    """
    settings = Settings.model_validate(
        {
            "database_url": database_url,
            "kafka_bootstrap_servers": kafka,
            "CASEGRID_TOPIC_PREFIX": prefix,
            "CASEGRID_ROLE": role,
            "CASEGRID_FAILURES_PER_MINUTE": 100_000,
            "CASEGRID_LOOK_SECONDS": 0.2,
            **more,
        }
    )
    runtime = Runtime(service, settings, clock=clock)
    if kafka == NOWHERE:  # there is no backlog to wait for
        assume_no_backlog(runtime)
    app = application(runtime)
    watched = Watched(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(watched), base_url=f"http://{service.name}") as client,
    ):
        if reached:
            await eventually(lambda: _reached(runtime), what=f"{service.name}'s database")
        yield Running(runtime, client)
    assert watched.undeclared() == [], "answers that the service's own document does not declare"


async def all_read(now: datetime) -> datetime:
    """`ReadUpTo` where nothing lies unread on a topic."""
    return now


def assume_no_backlog(runtime: Runtime) -> None:
    """Lets deadlines be decided without asking a broker how far the topics have been read."""
    if isinstance(runtime.service.model, Model):
        model = replace(runtime.service.model, registry=runtime.registry)
        runtime.deciding.timers = Timers(model, runtime.database, runtime.clock, runtime.inbox.cache, all_read)
        runtime.deciding.returning = _Compared(
            model, runtime.database, runtime.clock, runtime.deciding.returning.reading
        )


class _Compared(Returning):
    """Of a store without topics."""

    async def run(self) -> None:
        self._database.hold(None)


async def _reached(runtime: Runtime) -> bool:
    return not {"database", "store"} & (await runtime.faults()).keys()


@asynccontextmanager
async def administering(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Whoever looks from outside how far a group has come, or changes topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def publish(kafka: str, prefix: str, records: list[Record]) -> None:
    """Puts records on their topics, in order, as a partner would."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        sent = [
            await producer.send(prefix + r.topic, value=r.value, key=r.key, headers=list(r.headers)) for r in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read_topic(
    kafka: str, prefix: str, topic: str, enough: Callable[[list[Event[Any]]], bool], *, seconds: float = 20.0
) -> list[Event[Any]]:
    """All events on a topic from its beginning, as soon as `enough` says so."""
    consumer = AIOKafkaConsumer(prefix + topic, bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    found: list[Event[Any]] = []
    deadline = time.monotonic() + seconds
    try:
        while not enough(found):
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic}: only {len(found)} events in {seconds} s")
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += [reread(topic, record.value or b"") for record in batch]
    finally:
        await consumer.stop()
    return found


class Mortal(Database):
    """A database whose client is killed before it commits, as often as `deaths` says."""

    deaths = 0

    async def transact(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        return await super().transact(self._dying(work))

    async def decide(self, work: Callable[[Transaction], Awaitable[R]], *, although_held: bool = False) -> R:
        async def written(transaction: Transaction) -> R:
            found = await work(transaction)
            if self.deaths > 0:
                await transaction.begin()
                await transaction.send()
            return found

        return await super().decide(self._dying(written), although_held=although_held)

    def _dying(self, work: Callable[[Any], Awaitable[R]]) -> Callable[[Any], Awaitable[R]]:
        async def dying(by: Any) -> R:
            found = await work(by)
            if self.deaths > 0:
                self.deaths -= 1
                raise ConnectionResetError("killed")
            return found

        return dying

"""What protection costs: processor time of the functions that the services use, on a schema and a topic of its own.

Every figure is part of the processor time per case or per request already; here it stands alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiokafka import AIOKafkaProducer

from chassis.clock import wall_clock
from chassis.engine.decider import Decider
from chassis.engine.forgeries import Judge
from chassis.engine.model import Model
from chassis.kafka.connection import Connection
from chassis.kafka.consumer import Reading
from chassis.kafka.records import Record
from chassis.kafka.tail import Positions, Tail
from chassis.registry import Registry
from chassis.settings import Settings
from chassis.store import reads
from chassis.store.database import Database
from chassis.store.migrations import EVERY, STORE, migrate, read
from chassis.store.reads import Read
from chassis.store.streams import Cache
from chassis.web.identity import Identity
from chassis.web.keys import KeySet
from contracts.homes import partner_source, service_source
from contracts.reading import Knows, Matter, scope_of
from contracts.roles import Role
from contracts.wire import identity
from deploy.bench import bare, usage
from deploy.bench.chain import PARTNER
from deploy.bench.database import SCHEMA, schema
from deploy.stack import token

_OWN_RECORDS = 13
"""Of the benchmark's case, those that services publish: six facts, and seven notices to the partner."""
_SECONDS = 60.0
_TOKENS = 500
_TIMES = 2_000
_ROWS = 500
_CONNECTIONS = 20
_GRID = "CH/shuangqiaozi/shuanglin/g001"
_SILENT: Decider[None, None] = Decider(None, lambda state, _: state, lambda *_: (), lambda *_: ())


@dataclass(frozen=True)
class Cost:
    """Microseconds of processor time, each time: of the service, and of PostgreSQL where it works, too."""

    what: str
    service_us: float
    postgres_us: float | None = None


async def costs(broker: Connection, database: str, reports: Sequence[bytes], token_key: str) -> list[Cost]:
    """`broker` and `database` are reached as administrators; `reports` are as partner `bench` sent them."""
    mine, theirs = service_source(SCHEMA).encode(), partner_source(PARTNER).encode()
    facts = [raw.replace(b'"%s"' % theirs, b'"%s"' % mine, 1) for raw in reports]
    async with _schema(database) as store, bare.topic(broker) as topic:
        judged = await _judged(broker, store, topic, facts)
        recorded = await _recorded(store)
    return [
        judged,
        await _connected(broker),
        *await _tokens(token_key),
        await _ruled(),
        recorded,
    ]


@asynccontextmanager
async def _schema(url: str) -> AsyncIterator[Database]:
    """The tables of a service, in a schema that is gone afterwards; one connection to it."""
    migrations = [*read("every", EVERY), *read("store", STORE)]
    async with schema(url):
        await migrate(url, SCHEMA, None, migrations)
        store = Database(url, SCHEMA, size=1, migrations=migrations)
        try:
            await store.open()
            yield store
        finally:
            await store.close()


async def _judged(broker: Connection, store: Database, topic: str, facts: Sequence[bytes]) -> Cost:
    """A genuine record of a service's own topic: read by its tail, and found in its store."""
    ids = [event_id for raw in facts for _, event_id in (identity(raw) or ("", ""),)]
    await bare.produce(broker, topic, facts)
    await store.fetch(
        "INSERT INTO events (stream_id, version, own, topic, event_id, body)"
        " SELECT stream_id, 1, true, $1, id, body FROM unnest($2::text[], $3::text[], $4::bytea[])"
        " AS u (stream_id, id, body)",
        topic,
        [str(n) for n in range(len(facts))],
        ids,
        facts,
    )
    await store.fetch("ANALYZE events")
    judge = Judge(Model(SCHEMA, (), _SILENT, ()), store, wall_clock, Cache())
    follower = _Counted(judge, len(facts))

    async def follow() -> None:
        tail = asyncio.create_task(Tail(Reading(broker, "", 0), SCHEMA, lambda: [topic], follower, lambda: True).run())
        try:
            async with asyncio.timeout(_SECONDS):
                await follower.done.wait()
        finally:
            tail.cancel()
            await asyncio.gather(tail, return_exceptions=True)

    cases_worth = len(facts) / _OWN_RECORDS
    cost = await _measured("a case's records, read again and judged by who wrote them", cases_worth, follow, store)
    assert judge.found == 0, "the benchmark's own records are genuine"
    return cost


class _Counted:
    """Gives the judge what the tail reads, until all is judged."""

    def __init__(self, judge: Judge, count: int) -> None:
        self._judge = judge
        self._left = count
        self.done = asyncio.Event()

    async def positions(self) -> Positions:
        return await self._judge.positions()

    async def process(self, records: Sequence[Record]) -> None:
        await self._judge.process(records)
        self._left -= len(records)
        if self._left <= 0:
            self.done.set()


async def _connected(broker: Connection) -> Cost:
    """A client that proves with SCRAM who it is; its share of the broker's own work is the broker's."""

    async def connect() -> None:
        for _ in range(_CONNECTIONS):
            producer = AIOKafkaProducer(**broker.options())
            await producer.start()
            await producer.stop()

    return await _measured("a client's connection to the broker, with its password proved", _CONNECTIONS, connect)


async def _tokens(key: str) -> list[Cost]:
    """A person's token, signed with Ed25519: verified, and known again."""
    caller = Identity(Settings(), Registry(None), KeySet("the stack's key", partial(_public, key), 3600, 3600))
    given = [
        "Bearer " + token.issue(key, subject=f"li{number}", roles=[Role.DISPATCHER], areas=[_GRID])
        for number in range(_TOKENS)
    ]
    await caller.caller(given[0], None)  # reads the keys

    async def ask() -> None:
        for one in given[1:]:
            await caller.caller(one, None)

    async def ask_again() -> None:
        for _ in range(_TIMES // _TOKENS):
            await ask()

    return [
        await _measured("a request's token, seen for the first time", _TOKENS - 1, ask),
        await _measured("a request's token, seen before", (_TOKENS - 1) * (_TIMES // _TOKENS), ask_again),
    ]


async def _public(key: str) -> bytes:
    return token.key_set(key).encode()


async def _ruled() -> Cost:
    """Who may read a case: the caller's scope, and what they see of one."""
    case = Matter(_GRID, "event.appearance.waste", frozenset({"dept:water"}))
    knows = Knows(frozenset({"dispute.family"}), "CH", categories=False, units=True, filers=False)

    async def ask() -> None:
        for _ in range(_TIMES):
            scope_of([Role.DISPATCHER], [_GRID], ["dept:water"], knows).sight(case)

    return await _measured("a request's right to a case", _TIMES, ask)


async def _recorded(store: Database) -> Cost:
    """Who read the bytes of which record, durable before they are shown."""

    async def record() -> None:
        for number in range(_ROWS):
            await reads.record(store, "auditor", "GET /log", Read(first=number, last=number))

    return await _measured("a row of who read raw bytes", _ROWS, record, store)


async def _measured(
    what: str, times: float, work: Callable[[], Awaitable[None]], store: Database | None = None
) -> Cost:
    """Of this process, and of the backend that serves the store."""
    backend = (await store.fetch("SELECT pg_backend_pid()"))[0][0] if store else None
    began, there = time.process_time(), usage.cpu_seconds(backend) if backend else 0.0
    await work()
    postgres = (usage.cpu_seconds(backend) - there) / times * 1e6 if backend else None
    return Cost(what, (time.process_time() - began) / times * 1e6, postgres)

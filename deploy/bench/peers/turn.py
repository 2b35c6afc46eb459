"""One turn of one service: its topics, its tables, its process, and what its messages cost.

The service takes some messages to warm up, and is halted (SIGSTOP) while others are laid on its topic. From the
instant it goes on until its last record is out, and a second more for what follows (offsets, deletes), its processor
time counts and that of broker and database. What these two spend without it, for the stack that runs idle beside it, is
measured while it is halted, and subtracted. Then messages come one by one at a modest rate.

Sessions of consumers are long enough for the halt on a busy machine, and equally long for all.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.kafka.connection import Connection
from deploy.bench import bare
from deploy.bench.chain import HEADERS
from deploy.bench.database import connected, schema
from deploy.bench.peers.ours import FROM, TO
from deploy.bench.peers.process import LOOK_SECONDS, Process, servers
from deploy.stack import topics
from deploy.stack.connections import variables
from deploy.stack.problem import Problem

PARTITIONS = 6
RATE = 50
"""Messages a second, where they come one by one."""
SESSION_SECONDS = 60
_STILL_SECONDS = 1.1
_IDLE_SECONDS = 5.0
_START_SECONDS = 90.0
_WORK_SECONDS = 300.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")

Message = tuple[bytes, bytes]
"""Key and value."""


@dataclass(frozen=True)
class Servers:
    """Where it is measured: pid files of the servers in `run`, administrators' connections to both of them."""

    run: Path
    broker: Connection
    database: str
    tell: Callable[[str], None]


@dataclass(frozen=True)
class Service:
    """One of the compared. `prepare` makes its tables, `stored` counts the rows that its messages became."""

    name: str
    command: Sequence[str]
    prepare: Callable[[str, Mapping[str, str]], Awaitable[None]]
    stored: str


@dataclass(frozen=True)
class Spent:
    """Of so many messages: seconds, and CPU seconds by process."""

    messages: int = 0
    seconds: float = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: "Spent") -> "Spent":
        cpu = {name: self.cpu.get(name, 0.0) + other.cpu.get(name, 0.0) for name in {**self.cpu, **other.cpu}}
        return Spent(self.messages + other.messages, self.seconds + other.seconds, cpu)

    @property
    def cpu_us(self) -> float:
        """Microseconds per message, of all processes."""
        return sum(self.cpu.values()) / self.messages * 1e6

    def figures(self) -> dict[str, Any]:
        """Per second and per message."""
        return {
            "messages": self.messages,
            "messages_per_second": self.messages / self.seconds,
            "cpu_us_per_message": self.cpu_us,
            "processes": {name: value / self.messages * 1e6 for name, value in self.cpu.items()},
        }


def spent(
    before: Mapping[str, float], after: Mapping[str, float], idle: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """CPU seconds by process, without what the servers spend by themselves: `idle` of each second."""
    return {name: max(0.0, after[name] - before[name] - idle.get(name, 0.0) * seconds) for name in after}


async def turn(
    here: Servers, service: Service, warm: Sequence[Message], at_once: Sequence[Message], paced: Sequence[Message]
) -> tuple[Spent, Spent]:
    """What it spends on messages that wait for it all at once, and on those that come one by one.

    Raises `Problem` where the service ends, is not done in time, or has stored another number of rows.
    """
    prefix = f"bench-peers-{time.time_ns()}-"
    with tempfile.TemporaryDirectory(prefix="casegrid-bench-") as folder:
        given = _environment(here, prefix, Path(folder))
        async with (
            _store(here.database, service, given),
            _topics(here.broker, prefix) as (producer, out),
            Process(service.name, service.command, given, Path(folder) / "log") as process,
        ):
            running = _Running(here.run, process, producer, out, prefix + FROM)
            await running.offer(warm)
            await running.done(len(warm), _START_SECONDS)
            process.halt()
            await running.offer(at_once)
            await asyncio.sleep(_STILL_SECONDS)
            idle = await _idle(here.run, out)
            whole = await running.measured(idle, len(at_once), process.go_on)
            slow = await running.measured(idle, len(paced), lambda: running.offer(paced, 1 / RATE))
            await check(here.database, service, len(warm) + len(at_once) + len(paced))
            return whole, slow


async def _idle(run: Path, out: AIOKafkaConsumer) -> dict[str, float]:
    """CPU seconds that each server spends in a second while no service works; asked for ends as when one does."""
    before, began = servers(run), time.monotonic()
    while time.monotonic() - began < _IDLE_SECONDS:
        await out.end_offsets(out.assignment())
        await asyncio.sleep(LOOK_SECONDS)
    after, seconds = servers(run), time.monotonic() - began
    return {name: (after[name] - before[name]) / seconds for name in after}


class _Running:
    """A service that runs, with the ends of its topics."""

    def __init__(
        self, run: Path, process: Process, producer: AIOKafkaProducer, out: AIOKafkaConsumer, topic: str
    ) -> None:
        self._run = run
        self._process = process
        self._producer = producer
        self._out = out
        self._topic = topic
        self._awaited = 0

    async def offer(self, messages: Sequence[Message], pause: float = 0.0) -> None:
        """Lays messages on its topic, so many seconds apart; returns when the broker has them."""
        began, sent = time.monotonic(), []
        for n, (key, raw) in enumerate(messages, start=1):
            sent.append(await self._producer.send(self._topic, value=raw, key=key, headers=HEADERS))
            if pause and (ahead := n * pause - (time.monotonic() - began)) > 0:
                await asyncio.sleep(ahead)
        await asyncio.gather(*sent)

    async def done(self, count: int, seconds: float) -> None:
        """Waits until as many records more are out. Raises `Problem` where they are not in time."""
        self._awaited += count

        async def all_out() -> bool:
            return sum((await self._out.end_offsets(self._out.assignment())).values()) >= self._awaited

        await self._process.until(all_out, f"{self._awaited} messages", seconds)

    async def measured(self, idle: Mapping[str, float], count: int, begin: Callable[[], Any]) -> Spent:
        """What `count` messages cost that `begin` lets it work on."""
        before, began = self._process.spent(self._run), time.monotonic()
        begun = begin()
        if begun is not None:
            await begun
        await self.done(count, _WORK_SECONDS)
        seconds = time.monotonic() - began
        await asyncio.sleep(_STILL_SECONDS)
        after, whole = self._process.spent(self._run), time.monotonic() - began
        return Spent(count, seconds, spent(before, after, idle, whole))


def _environment(here: Servers, prefix: str, folder: Path) -> dict[str, str]:
    """What every one of them is given; ours by the names of chassis.settings."""
    password = folder / "password"
    password.touch(mode=0o600)
    broker = here.broker
    if broker.names_user:
        password.write_text(broker.secret())
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **variables(broker),
        **({"KAFKA_SASL_PASSWORD_FILE": str(password)} if broker.names_user else {}),
        "DATABASE_URL": here.database,
        "CASEGRID_ROLE": "worker",
        "CASEGRID_SESSION_SECONDS": str(SESSION_SECONDS),
        "CASEGRID_TOPIC_PREFIX": prefix,
        "CASEGRID_PARTNERS": str(folder / "partners.json"),
        "PEER_GROUP": f"{prefix}peer",
        "PEER_FROM": prefix + FROM,
        "PEER_TO": prefix + TO,
        "PEER_SESSION_SECONDS": str(SESSION_SECONDS),
        "PEER_WORKERS": str(PARTITIONS),
    }


@asynccontextmanager
async def _store(url: str, service: Service, environment: Mapping[str, str]) -> AsyncIterator[None]:
    async with schema(url):
        await service.prepare(url, environment)
        yield


@asynccontextmanager
async def _topics(broker: Connection, prefix: str) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """Who writes the one topic, and who sees where the other ends."""
    names = [prefix + FROM, prefix + TO]
    await topics.create(broker, names, PARTITIONS)
    out = AIOKafkaConsumer(**broker.options(), group_id=None)
    try:
        await out.start()
        out.assign([TopicPartition(names[1], n) for n in range(PARTITIONS)])
        async with bare.producing(broker) as producer:
            yield producer, out
    finally:
        await out.stop()
        await topics.delete(broker, names)


async def check(url: str, service: Service, count: int) -> None:
    """Raises `Problem` where a service has stored another number of messages."""
    async with connected(url) as connection:
        stored = await connection.fetchval(service.stored)
    if stored != count:
        raise Problem(f"{service.name} has stored {stored} of {count} messages")

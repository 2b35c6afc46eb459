"""A broker, a database and the five services on free ports of loopback, and every fault that is done to them.

Each service reaches either server by a link of its own: the broker has a listener for each, which names the link.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from aiokafka import TopicPartition

from chassis.kafka.connection import Connection
from contracts.reference import Partner
from contracts.status import SERVICES
from contracts.wire import TOPICS
from deploy.bench.chain import PARTNER, UNIT
from deploy.stack import topics
from deploy.stack.kafka import Kafka, settings
from deploy.stack.ports import LOOPBACK, free
from deploy.stack.postgres import Postgres
from deploy.stack.provision import with_database
from tests.chaos.faults import BROKER, DATABASE, Fault
from tests.chaos.links import Link, Mode
from tests.support.fleet import Fleet
from tests.support.infrastructure import PASSWORD, execute, frozen, migrate_services
from tests.system.bus import register
from tests.system.load import pause_for

PARTITIONS = 6
_ROOM = "6g"
_START_SECONDS = 180
_MODES: dict[str, Mode] = {"cut": "cut", "silence": "silent", "slow": "slow"}


class Ground:
    """What runs. `do` does a fault and returns when it is over, whatever else happens meanwhile."""

    def __init__(
        self,
        kafka: Kafka,
        postgres: Postgres,
        fleet: Fleet,
        links: Mapping[tuple[str, str], Link],
        folder: Path,
    ) -> None:
        self.kafka, self.postgres, self.fleet = kafka, postgres, fleet
        self._links = links
        self._folder = folder
        self._busy = {name: asyncio.Lock() for name in (*SERVICES, BROKER, DATABASE)}

    @property
    def admin(self) -> str:
        """URL of the database's administrator."""
        return with_database(self.postgres.url, "casegrid")

    @property
    def partitions(self) -> list[TopicPartition]:
        """All of all topics."""
        names = (*TOPICS, *topics.of_partner(PARTNER))
        return [TopicPartition(name, n) for name in names for n in range(PARTITIONS)]

    async def do(self, fault: Fault) -> str:
        """What came of it."""
        async with self._busy[fault.target]:
            match fault.kind:
                case "kill":
                    await self._living(fault.target)
                    await self.fleet.kill(fault.target)
                case "kill at a point":
                    return await self._die(fault)
                case "freeze":
                    with frozen(await self._living(fault.target)):
                        await pause_for(fault.seconds)
                case "second worker":
                    async with self.fleet.second(fault.target) as worker:
                        await pause_for(fault.seconds)
                        if fault.detail == "killed":
                            worker.kill()
                case "cut" | "silence" | "slow":
                    await self._link(fault)
                case "clock":
                    await self._clock(fault)
                case "disk full":
                    return await self._fill(fault.seconds)
                case _:
                    await self._server(fault)
        return "over"

    async def _living(self, name: str) -> asyncio.subprocess.Process:
        """The service's process, once it has been started again after its last death."""
        while (process := self.fleet.process(name)).returncode is not None:
            await pause_for(0.05)
        return process

    async def _die(self, fault: Fault) -> str:
        name, marker = fault.target, self._folder / f"{fault.target}-{time.monotonic_ns()}.died"
        usual = self.fleet.programs[name]
        await self._living(name)
        self.fleet.programs[name] = ("-m", "tests.support.dying", name, fault.detail, str(marker))
        try:
            await self.fleet.kill(name)
            armed = await self._living(name)
        finally:
            self.fleet.programs[name] = usual
        deadline = time.monotonic() + fault.seconds
        while armed.returncode is None and time.monotonic() < deadline:
            await pause_for(0.2)
        return "died there" if marker.exists() else "has not come there yet"

    async def _link(self, fault: Fault) -> None:
        link = self._links[fault.target, fault.detail]
        link.turn(_MODES[fault.kind])
        try:
            await pause_for(fault.seconds)
        finally:
            link.turn("open")

    async def _clock(self, fault: Fault) -> None:
        file, now = Path(self.fleet.own[fault.target]["CASEGRID_CLOCK_FILE"]), time.time()
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps({"real": now, "virtual": now + float(fault.detail.split()[0]), "rate": 1}))
        beside.replace(file)
        try:
            await pause_for(fault.seconds)
        finally:
            await asyncio.to_thread(file.unlink)

    async def _server(self, fault: Fault) -> None:
        server = self.kafka if fault.target == BROKER else self.postgres
        if fault.kind == "freeze server":
            with frozen(server):
                await pause_for(fault.seconds)
            return
        await (server.kill() if fault.kind == "kill server" else server.stop())
        await pause_for(fault.seconds)
        await server.start(_START_SECONDS)

    async def _fill(self, seconds: float) -> str:
        """The database's disk has no room left; a server that ended because of that is started again."""
        disk = self._folder / "postgres"
        _mount("remount", f"size={shutil.disk_usage(disk).used}", disk)
        try:
            await pause_for(seconds)
        finally:
            _mount("remount", f"size={_ROOM}", disk)
        if ended := self.postgres.pid is None:
            await self.postgres.start(_START_SECONDS)
        return "the server ended, and was started again" if ended else "the server lived"


@asynccontextmanager
async def ground(folder: Path, district: Path, *, disk: bool = False, **more: str) -> AsyncIterator[Ground]:
    """Everything, once it is ready. The database's user reaches `folder`; with `disk` its data get a disk of its own,
    and `more` are settings of all services.
    """
    async with AsyncExitStack() as stack:
        if disk:
            stack.enter_context(_own_disk(folder / "postgres"))
        postgres = Postgres(folder / "postgres")
        kafka, links = _linked(folder, postgres)
        stack.push_async_callback(postgres.kill)
        stack.push_async_callback(kafka.kill)
        await asyncio.gather(postgres.start(_START_SECONDS), kafka.start(_START_SECONDS))
        for link in links.values():
            await stack.enter_async_context(link)
        await execute(postgres.url, "CREATE DATABASE casegrid")
        await migrate_services(with_database(postgres.url, "casegrid"))
        await topics.create(kafka.administrator, TOPICS, PARTITIONS)
        await topics.create(kafka.administrator, topics.of_partner(PARTNER), PARTITIONS)
        register(district, Partner(id=PARTNER, name="Bench", says=("reports", "steps"), units=(UNIT,)))
        databases = {
            name: f"postgresql://{name}:{PASSWORD}@{LOOPBACK}:{links[name, DATABASE].port}/casegrid"
            for name in SERVICES
        }
        brokers = {name: Connection(f"{LOOPBACK}:{links[name, BROKER].port}") for name in SERVICES}
        fleet = Fleet(databases=databases, kafka=brokers, prefix="", district=district, logs=folder, **more)
        for name in SERVICES:
            fleet.own[name]["CASEGRID_CLOCK_FILE"] = str(folder / f"{name}.clock")
        await stack.enter_async_context(fleet)
        await fleet.ready(seconds=_START_SECONDS)
        yield Ground(kafka, postgres, fleet, links, folder)


def _linked(folder: Path, postgres: Postgres) -> tuple[Kafka, dict[tuple[str, str], Link]]:
    """A broker with a listener for each service, and (service, server) -> link."""
    kafka = Kafka(folder)
    own, links = {}, {}
    for name in SERVICES:
        own[name.upper()] = free()
        links[name, BROKER] = Link(own[name.upper()], free())
        links[name, DATABASE] = Link(postgres.port, free())
    usual = settings(kafka.port, kafka.broker.controller_port, kafka.data_dir)
    listeners = {name: f"{name}://{LOOPBACK}:{port}" for name, port in own.items()}
    named = {name: f"{name}://{LOOPBACK}:{links[name.lower(), BROKER].port}" for name in own}
    more = {
        "listeners": ",".join([usual["listeners"], *listeners.values()]),
        "advertised.listeners": ",".join([usual["advertised.listeners"], *named.values()]),
        "listener.security.protocol.map": ",".join(
            [usual["listener.security.protocol.map"], *(f"{name}:PLAINTEXT" for name in own)]
        ),
    }
    kafka.broker = replace(kafka.broker, settings=more)
    return kafka, links


def can_mount() -> bool:
    """Whether a disk of a size of our own can be had, which takes the rights of root."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _own_disk(Path(folder)):
                return True
        except subprocess.CalledProcessError:
            return False


@contextmanager
def _own_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    _mount("size=" + _ROOM, "mode=755", folder)
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True, capture_output=True)


def _mount(first: str, second: str, folder: Path) -> None:
    options = f"{first},{second}"
    subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)), check=True, capture_output=True)

"""The five services as processes of their own, started, killed and started again by a test."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from chassis.kafka.connection import Connection
from contracts.status import SERVICES
from deploy.stack.connections import variables
from tests.support.services import eventually

ROOT = Path(__file__).parents[2]


class Fleet:
    """Processes by service name. One that ends is started again, as a process manager would."""

    def __init__(
        self,
        *,
        databases: Mapping[str, str],
        kafka: str | Mapping[str, Connection],
        prefix: str,
        district: Path,
        logs: Path,
        **more: str,
    ) -> None:
        """`kafka` is an open broker's address, or each service's own connection."""
        self._environment = {
            **os.environ,
            "CASEGRID_TOPIC_PREFIX": prefix,
            "CASEGRID_DISTRICT": str(district),
            "CASEGRID_REQUESTS_PER_SECOND": "100000",
            "CASEGRID_SESSION_SECONDS": "3",
            "CASEGRID_LOOK_SECONDS": "0.2",
            "HOST": "127.0.0.1",
            **more,
        }
        self.databases = dict(databases)
        self._brokers: Mapping[str, Connection] = (
            dict.fromkeys(SERVICES, Connection(kafka)) if isinstance(kafka, str) else kafka
        )
        self._logs = logs
        self.ports = {name: _free_port() for name in SERVICES}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._order: Sequence[str] = SERVICES
        self.programs: dict[str, Sequence[str]] = {name: ("-m", f"services.{name}") for name in SERVICES}
        """What Python is given to run each service."""
        self.own: dict[str, dict[str, str]] = {name: {} for name in SERVICES}
        """Variables of single services."""
        self.deaths: dict[str, int] = dict.fromkeys(SERVICES, 0)
        self.ended: list[str] = []
        """What ended by itself, and how; not by SIGKILL."""
        self.exits: dict[str, int | None] = {}

    async def __aenter__(self) -> "Fleet":
        for name in self._order:
            await self.start(name)
        return self

    def in_order(self, order: Sequence[str]) -> "Fleet":
        """This fleet, to be started in that order."""
        self._order = tuple(order)
        return self

    async def __aexit__(self, *_: object) -> None:
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        await asyncio.gather(*(_end(process) for process in self._processes.values()))
        self.exits = {name: process.returncode for name, process in self._processes.items()}

    def url(self, name: str) -> str:
        """Where a service answers."""
        return f"http://127.0.0.1:{self.ports[name]}"

    async def start(self, name: str) -> None:
        """Starts a service and keeps it running."""
        await self._spawn(name)
        self._watchers[name] = asyncio.create_task(self._watch(name))

    async def kill(self, name: str) -> None:
        """kill -9: nothing is flushed, nobody is told. The service is started again at once."""
        process = self._processes[name]
        if process.returncode is None:
            process.kill()
            self.deaths[name] += 1
            await process.wait()

    async def stop(self, name: str) -> None:
        """Ends a service in order; it stays so until `start`."""
        self._watchers.pop(name).cancel()
        self._processes[name].send_signal(signal.SIGTERM)
        await self._processes[name].wait()

    def process(self, name: str) -> asyncio.subprocess.Process:
        """The one that runs now, or ran last."""
        return self._processes[name]

    @asynccontextmanager
    async def second(self, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Another worker of that service, which takes a share of its partitions; asked to stop at the end."""
        process = await self._begin(name, ("-m", f"services.{name}"), PORT=str(_free_port()), CASEGRID_ROLE="worker")
        try:
            yield process
        finally:
            await _end(process)

    async def alive(self, name: str, *, seconds: float = 60) -> None:
        """Waits until the service answers at all."""
        await self._answers(name, "/health", seconds)

    async def ready(self, *names: str, seconds: float = 60) -> None:
        """Waits until these services, or all, say that they are ready."""
        for name in names or SERVICES:
            await self._answers(name, "/ready", seconds)

    async def _answers(self, name: str, path: str, seconds: float) -> None:
        async with httpx.AsyncClient(timeout=5) as client:

            async def answer() -> bool:
                try:
                    return (await client.get(self.url(name) + path)).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answer, seconds=seconds, every=0.1, what=f"{name}{path}")

    async def _spawn(self, name: str) -> None:
        self._processes[name] = await self._begin(name, self.programs[name], PORT=str(self.ports[name]))

    async def _begin(self, name: str, program: Sequence[str], **more: str) -> asyncio.subprocess.Process:
        environment = {
            **self._environment,
            **self.own[name],
            "DATABASE_URL": self.databases[name],
            **variables(self._brokers[name]),
            **more,
        }
        with (self._logs / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, *program, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    async def _watch(self, name: str) -> None:
        while True:
            status = await self._processes[name].wait()
            if status != -signal.SIGKILL:
                self.ended.append(f"{name} ended by itself with status {status}")
            await self._spawn(name)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), 15)
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

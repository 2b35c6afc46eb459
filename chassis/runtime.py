"""One process of a service: its parts by role, started in any order, stopped gracefully.

api      HTTP only
worker   consumer, relay and timers; HTTP for health only
both     everything
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import uvicorn
import uvloop
from fastapi import Depends, FastAPI

from chassis import operations, telemetry
from chassis.changes import Changes
from chassis.clock import Clock, clock_of
from chassis.commands import Commands
from chassis.consumer import Consumer
from chassis.database import PASSING, Database
from chassis.http import Gate, Json, Rate, handle_errors, require, unlisted
from chassis.identity import Identity
from chassis.inbox import Inbox, backoff
from chassis.partners import Registry
from chassis.relay import Relay
from chassis.service import Service
from chassis.settings import Settings
from chassis.timers import Timers

log = logging.getLogger(__name__)


class Runtime:
    """Holds a service's parts together. Public for the service's own routes: `service`, `settings`, `database`,
    `clock`, `commands`, `changes`, `registry`.
    """

    def __init__(self, service: Service, settings: Settings, *, clock: Clock | None = None) -> None:
        self.service = service = replace(service, registry=Registry(settings.partners_file))
        self.settings = settings
        self.clock = clock or clock_of(settings.clock_file)
        self.database = Database(settings.database_url, service.name, size=settings.pool)
        self.changes = Changes(self.database)
        self.works = settings.role in ("worker", "both")
        self.serves = settings.role in ("api", "both")
        self.registry = service.registry
        self.inbox = None if service.processor else Inbox(service, self.database, self.clock)
        self.relay = Relay(
            servers=settings.kafka_bootstrap_servers,
            name=service.name,
            prefix=settings.topic_prefix,
            database=self.database,
        )
        self.commands = Commands(service, self.database, self.clock, self.relay.wake)
        processor = service.processor(self) if service.processor else self.inbox
        assert processor is not None
        self.processor = processor
        self.consumer = Consumer(
            servers=settings.kafka_bootstrap_servers,
            group=service.name,
            topics=lambda: self.registry.topics(tuple(service.topics)),
            prefix=settings.topic_prefix,
            batch=settings.batch,
            process=self._process,
            session_seconds=settings.session_seconds,
        )
        self.timers = Timers(service, self.database, self.clock, self.inbox, self._read_up_to)
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()

    async def _process(self, records: Any) -> None:
        await self.processor.process(records)
        self.relay.wake()

    def wake(self) -> None:
        """Says that something was appended."""
        self.relay.wake()

    async def start(self) -> None:
        """Starts the parts of this role; none of them needs its surroundings to be there yet."""
        self._run("database", self._reach_database)

    async def stop(self) -> None:
        """Lets transactions under way end, then stops all parts."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.database.close()

    async def _reach_database(self) -> None:
        attempt = 0
        while True:
            try:
                await self.database.open()
                break
            except PASSING as fault:
                log.warning("waiting for the database: %s", fault)
                await backoff(attempt)
                attempt += 1
        if self.serves and self.service.announces:
            self._run("changes", self.changes.run)
        if self.works:
            self._run("consumer", self.consumer.run)
            for task in self.service.tasks:
                self._run(getattr(task, "__name__", "task"), lambda task=task: task(self))
            if self.inbox is not None:
                self._run("relay", self.relay.run)
                self._run("timers", self.timers.run)

    def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.critical("%s failed; the process ends, so that a new one may begin", name, exc_info=True)
                self._failed.set()

        self._tasks.append(asyncio.create_task(guarded(), name=f"{self.service.name}-{name}"))

    async def failed(self) -> None:
        """Returns when a part has failed in a way that no retry mends."""
        await self._failed.wait()

    async def _read_up_to(self, now: datetime) -> datetime | None:
        """As the consumer says; never, while it is not known which topics are to be read."""
        return None if self.registry.blind else await self.consumer.read_up_to(now)

    async def faults(self) -> dict[str, str]:
        """Part -> what is wrong with it; empty when ready."""
        found: dict[str, str] = {}
        try:
            await asyncio.wait_for(self.database.fetchrow("SELECT 1"), 2)
        except PASSING as fault:
            found["database"] = f"{type(fault).__name__}: {fault}"
        if self.registry.blind:
            found["partners"] = self.registry.fault or ""
        if self.works:
            if silence := await self.consumer.unreachable():
                found["broker"] = silence
            if self.consumer.fault:
                found["consumer"] = self.consumer.fault
            elif not self.consumer.assigned():
                found["consumer"] = "no partitions are assigned"
            elif stuck := self.consumer.stuck():
                found["consumer"] = "stuck: " + ", ".join(stuck)
            if self.inbox is not None and self.relay.fault:
                found["relay"] = self.relay.fault
            if self.timers.fault:
                found["timers"] = self.timers.fault
        return found

    def health(self) -> dict[str, Any]:
        """How the process is, without asking anything outside it."""
        return {
            "alive": True,
            "service": self.service.name,
            "version": _version(),
            "role": self.settings.role,
            "now": self.clock(),
            "clock": "file" if self.settings.clock_file and self.settings.clock_file.exists() else "wall",
            "broker": self.settings.broker_kind,
            **(
                {"warning": "the fallback broker may lose the last writes when it is killed: for demonstration only"}
                if self.settings.broker_kind == "fallback"
                else {}
            ),
            "consumer": {
                "fault": self.consumer.fault if self.works else None,
                "assigned": self.consumer.assigned(),
                "lag": self.consumer.lag(),
                "stuck": self.consumer.stuck(),
                "missing_topics": self.consumer.missing(),
            },
            "relay": {
                "fault": self.relay.fault if self.works and self.inbox is not None else None,
                "missing_topics": self.relay.missing,
            },
            "passed_over": dict(self.inbox.passed_over) if self.inbox is not None else {},
            "partners": {
                "registered": len(self.registry.partners.registered),
                "version": self.registry.version,
                "fault": self.registry.fault,
            },
        }


def application(runtime: Runtime) -> FastAPI:
    """The FastAPI application of a runtime; its lifespan starts and stops the parts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        try:
            yield
        finally:
            await runtime.stop()

    service = runtime.service
    roles = {**operations.ROLES, **service.roles}
    app = FastAPI(
        title=f"Casegrid {service.name}",
        description=getattr(sys.modules.get(f"services.{service.name}"), "__doc__", None) or "",
        version=_version(),
        lifespan=lifespan,
        default_response_class=Json,
    )
    app.include_router(operations.router(runtime), dependencies=[Depends(require(app, roles))])
    if runtime.serves:
        app.include_router(service.router(runtime), dependencies=[Depends(require(app, roles))])
    if missing := unlisted(app, roles):
        raise RuntimeError(f"routes without roles: {missing}")
    handle_errors(app)
    app.add_middleware(
        Gate, identity=Identity(runtime.settings, runtime.registry), rate=Rate(runtime.settings.requests_per_second)
    )
    return app


def main(service: Service) -> None:
    """Runs the service until SIGTERM or SIGINT; exit status 1 where a part failed for good."""
    settings = Settings()
    settings.refuse_if_unsafe()
    telemetry.configure(service.name, settings.log_level)
    runtime = Runtime(service, settings)
    # Reference data and code stay for ever, and folded states hold no cycles: looking through them again and again for
    # garbage took a third of triage's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    config = uvicorn.Config(
        application(runtime),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        watch = asyncio.create_task(runtime.failed())
        serving = asyncio.create_task(server.serve())
        await asyncio.wait([watch, serving], return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            server.should_exit = True
        await serving
        watch.cancel()

    # uvicorn raises the signal again when it has stopped; it has been obeyed by then, and the exit status is to say so.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, lambda *_: None)
    uvloop.run(serve())
    if runtime._failed.is_set():
        raise SystemExit(1)


def _version() -> str:
    try:
        return version("casegrid")
    except PackageNotFoundError:
        return "0.1.0"

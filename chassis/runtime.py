"""One process of a service: its parts by role, started in any order, stopped gracefully.

api      HTTP only
worker   consumer, relay, timers and tail; HTTP for health only
both     everything
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import uvicorn
import uvloop
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from chassis import telemetry
from chassis.clock import Clock, clock_of, unmoved, witnessed
from chassis.engine.commands import Commands
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.returning import COMPARING, Returning
from chassis.kafka.connection import Connection, why
from chassis.kafka.consumer import DECIDING, RECORDING, Consumer, Reading
from chassis.kafka.positions import Positions
from chassis.registry import Registry
from chassis.retry import Backoff, NotNow, in_short, in_words, keep_running, until_done
from chassis.service import Service
from chassis.settings import Settings
from chassis.store.changes import Changes
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.store.outbox import oldest_unsent
from chassis.store.taken import Ledger
from chassis.web.application import OPERATIONS, PARKED, READS, access_to, build
from chassis.web.arriving import Arriving
from chassis.web.concurrency import ConcurrencyLimit
from chassis.web.connections import Connections, limits_of, proxies, raise_descriptor_limit
from chassis.web.keys import keys_of
from chassis.web.protocol import counted_by
from chassis.web.server import Server
from chassis.web.streams import Streams
from chassis.worker import DecidingWorker, RecordingWorker, Worker
from contracts.reading import Knows

log = logging.getLogger(__name__)

_DATABASE_SECONDS = 2.0
_CLOCK_SECONDS = 5.0
"""How often the machine's clock is compared with the database's. One that is moved in between is noticed at once."""
_UNSENT_SECONDS = 10.0
"""A service of which a fact waits for longer to be sent is not ready: nobody hears of what it does."""


class Runtime:
    """Holds a service's parts together; `chassis.web.requests.Process` is what its routes see of it."""

    def __init__(self, service: Service, settings: Settings, *, clock: Clock | None = None) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock or clock_of(settings.clock_file)
        self._witnessed = witnessed(self.clock)
        self._doubted = False
        self.registry = Registry(settings.partners_file)
        self.keys = keys_of(settings)
        self.limit = ConcurrencyLimit(settings.requests_at_once)
        self.arriving = Arriving()
        limits = limits_of(settings.connections, settings.connections_per_address)
        self.connections = Connections(limits, proxies(os.environ.get("FORWARDED_ALLOW_IPS", "")))
        self.reference = service.reference
        self.database = Database(
            settings.database_url,
            service.name,
            size=settings.pool,
            migrations=service.migrations,
            password_file=settings.database_password_file,
        )
        if isinstance(service.model, Model):
            self.database.hold(COMPARING)
        self.changes = Changes(self.database)
        self.streams = Streams(self.database, self.changes, self.clock, settings.streams)
        self.works = settings.role in ("worker", "both")
        self.serves = settings.role in ("api", "both")
        broker = Connection.of(settings)
        manner = DECIDING if isinstance(service.model, Model) else RECORDING
        self._reading = Reading(broker, settings.topic_prefix, settings.batch, settings.session_seconds, **manner)
        self.worker = self._worker(service)
        self.consumer = Consumer(
            self._reading,
            service.name,
            lambda: self.registry.topics(tuple(service.topics)),
            self.worker.process,
            Positions(Ledger(self.database), service.name, self.worker.step_over),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._working = False
        self._lacking = ""
        """The parts that were not ready when that was asked last."""
        self._failed = asyncio.Event()
        self._broken: dict[str, str] = {}
        """Part of the worker that waits to be started again -> the fault that ended it."""

    def _worker(self, service: Service) -> Worker:
        if not isinstance(service.model, Model):
            return RecordingWorker(service.model, self.database)
        model = replace(service.model, registry=self.registry)
        return DecidingWorker(model, self.database, self.clock, self._reading, self._read_up_to, self.settings)

    @property
    def knows(self) -> Knows:
        """What the service knows of what the rule of reading asks."""
        return self.service.knows

    def has(self, state: Any) -> bool:
        """Whether the service knows of a case in that state."""
        return self.service.has is not None and self.service.has(state)

    @property
    def commands(self) -> Commands:
        """Of a service that decides."""
        return self.deciding.commands

    @property
    def inbox(self) -> Inbox:
        """Of a service that decides."""
        return self.deciding.inbox

    @property
    def deciding(self) -> DecidingWorker:
        """The worker of a service that decides. Raises `TypeError` for one that records."""
        if not isinstance(self.worker, DecidingWorker):
            raise TypeError(f"{self.service.name} records and decides nothing")
        return self.worker

    async def start(self) -> None:
        """Starts the parts of this role; neither the database nor the broker needs to be there yet."""
        self._run("database", self._reach_database)
        if self.serves:
            self._run("keys", self.keys.run)

    async def stop(self) -> None:
        """Lets running transactions end, then stops all parts."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.database.close()

    async def _reach_database(self) -> None:
        await until_done(
            self._open,
            TRANSIENT_ERRORS,
            lambda error: log.warning("waiting for the database: %s", in_words(error)),
        )
        self._run("clock", self._watch_clock)
        if self.serves and isinstance(self.service.model, Model) and self.service.model.announces:
            self._run("changes", self.changes.run)
        self._working = self.works
        if isinstance(self.worker, DecidingWorker):
            returning = self.worker.returning
            await until_done(lambda: self._compare(returning), (Exception,), self._wait)
        if self.works:
            self._keep("consumer", self.consumer.run)
            for name, loop in self.worker.loops().items():
                self._keep(name, loop)
            for task in self.service.tasks:
                self._keep("task", lambda task=task: task(self))

    async def _compare(self, returning: Returning) -> None:
        try:
            await returning.run()
        except Exception:
            await returning.may_go_on()
            raise

    def _wait(self, error: Exception) -> None:
        self.consumer.fault = why(error)
        known = isinstance(error, (*TRANSIENT_ERRORS, KafkaError))
        log.warning("the store is not compared with the topics now: %s", in_words(error), exc_info=not known)

    def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Runs a part of the worker, and again after any fault: none of them may end the API beside it."""

        async def once() -> None:
            self._broken.pop(name, None)
            await work()

        def note(fault: Exception) -> None:
            self._broken[name] = in_short(fault)
            log.error("%s failed; it starts again", name, exc_info=fault)

        self._run(name, lambda: until_done(once, (Exception,), note))

    async def _open(self) -> None:
        await self.database.open()
        await self._compare_clocks()

    async def _watch_clock(self) -> None:
        async def look(backoff: Backoff) -> None:
            while True:
                await asyncio.sleep(_CLOCK_SECONDS)
                await self._compare_clocks()
                backoff.reset()

        await keep_running(look, TRANSIENT_ERRORS, lambda error: log.info("clocks not compared: %s", in_words(error)))

    async def _compare_clocks(self) -> None:
        if self._witnessed is None:
            return
        before = self._witnessed.machine()
        rows = await self.database.fetch("SELECT clock_timestamp() AS at")
        self._witnessed.compare(before, rows[0]["at"])
        fault = self._witnessed.fault
        if fault is not None and not self._doubted:
            log.warning("the time is in doubt, and no deadline is decided: %s", fault)
        elif fault is None and self._doubted:
            log.info("the time is no longer in doubt")
        self._doubted = fault is not None

    @property
    def _doubt(self) -> str | None:
        return None if self._witnessed is None else self._witnessed.doubt

    def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.critical("%s failed; the process ends, so that a new one may start", name, exc_info=True)
                self._failed.set()

        self._tasks.append(asyncio.create_task(guarded(), name=f"{self.service.name}-{name}"))

    async def failed(self) -> None:
        """Returns when a part has failed with an error that no retry mends."""
        await self._failed.wait()

    @property
    def has_failed(self) -> bool:
        """Whether a part has failed for good."""
        return self._failed.is_set()

    async def _read_up_to(self, now: datetime) -> datetime | None:
        """As the consumer says; None while the time is in doubt, or it is not known which topics are to be read."""
        return None if self.registry.blind or self._doubt else await self.consumer.read_up_to(now)

    async def faults(self) -> dict[str, str]:
        """Part -> what is wrong with it; empty when ready. What waits for the database's first answer is left out."""
        found: dict[str, str] = {}
        try:
            if not await self.database.answers(_DATABASE_SECONDS):
                found["database"] = f"no answer in {_DATABASE_SECONDS:g} seconds"
            elif isinstance(self.service.model, Model):
                async with asyncio.timeout(_DATABASE_SECONDS):
                    waits = await oldest_unsent(self.database) or 0.0
                if waits > _UNSENT_SECONDS:
                    found["relay"] = f"the oldest unsent fact has waited for {waits:.0f} seconds"
        except TRANSIENT_ERRORS as fault:
            log.warning("the database does not answer: %s", in_words(fault))
            found["database"] = in_short(fault)
        if "database" not in found and (reason := self.database.held_because) is not None:
            found["store"] = reason
        if self.serves and self.keys.fault is not None:
            found["keys"] = self.keys.fault
        if "database" not in found and self._doubt is not None:
            found["clock"] = self._doubt
        if self.registry.blind:
            found["partners"] = self.registry.fault or ""
        if self._working:
            if silence := await self.consumer.unreachable():
                found["broker"] = silence
            if self.consumer.fault:
                found["consumer"] = self.consumer.fault
            elif not self.consumer.assigned():
                found["consumer"] = "no partitions are assigned"
            elif lacking := self.consumer.lacking():
                found["consumer"] = lacking
            found |= self.worker.faults() | self._broken
        self._tell(found)
        return found

    def warnings(self) -> dict[str, str]:
        """Part -> what will make it fail, or waits for an operator, though it is ready now."""
        stale = {"keys": self.keys.stale} if self.serves and self.keys.stale is not None else {}
        return stale | (self.worker.warnings() if self._working else {})

    def _tell(self, faults: Mapping[str, str]) -> None:
        """Logs which parts are not ready, once: strangers are not told, and what asks for readiness is one."""
        lacking = ", ".join(faults)
        if lacking != self._lacking:
            self._lacking = lacking
            if faults:
                log.warning("not ready: %s", "; ".join(f"{part}: {fault}" for part, fault in faults.items()))
            else:
                log.info("ready")

    def _now(self) -> datetime:
        try:
            return self.clock()
        except NotNow:
            return unmoved(self.clock)()

    def health(self) -> dict[str, Any]:
        """How the process is, without asking anything outside it."""
        fallback = self.settings.broker_kind == "fallback"
        warning = "the fallback broker may lose the last writes when it is killed: for demonstration only"
        return {
            "alive": True,
            "service": self.service.name,
            "version": release(),
            "role": self.settings.role,
            "now": self._now(),
            "clock_fault": self._doubt,
            "clock": "file" if self.settings.clock_file and self.settings.clock_file.exists() else "wall",
            "broker": self.settings.broker_kind,
            **({"warning": warning} if fallback else {}),
            "consumer": {
                "fault": self.consumer.fault if self.works else None,
                "assigned": self.consumer.assigned(),
                "lag": self.consumer.lag(),
                "stuck": self.consumer.stuck(),
                "missing_topics": self.consumer.missing(),
            },
            "positions": self.consumer.positions.health() if self.consumer.positions is not None else {},
            **self.worker.health(),
            "requests": self.limit.health(),
            "bodies": self.arriving.health(),
            "connections": self.connections.health(),
            "streams": self.streams.health(),
            "keys": {"fault": self.keys.fault, "stale": self.keys.stale, "version": self.keys.version},
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
    routes = OPERATIONS | READS
    if isinstance(service.model, Model):
        routes |= PARKED | access_to(service.routes.roles)
    if runtime.serves:
        routes |= service.routes
    return build(service.name, release(), runtime, lifespan, routes)


def main(service: Service) -> None:
    """Runs the service until SIGTERM or SIGINT; exit status 1 if a part failed for good."""
    settings = Settings()
    settings.refuse_if_unsafe()
    telemetry.configure(service.name, settings.log_level)
    raise_descriptor_limit(settings.connections)
    runtime = Runtime(service, settings)
    # Reference data and code stay for ever, and folded states hold no cycles. Searching them again and again for
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
        server_header=False,
        proxy_headers="FORWARDED_ALLOW_IPS" in os.environ,  # uvicorn would believe every process of this machine
        loop="uvloop",
        http=counted_by(runtime.connections),
        ws="none",
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    server = Server(config)

    async def serve() -> None:
        watch = asyncio.create_task(runtime.failed())
        serving = asyncio.create_task(server.serve())
        await asyncio.wait([watch, serving], return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            server.exit()
        await serving
        watch.cancel()

    # uvicorn raises the signal again when it has stopped. It has been obeyed by then, and the exit status must say so.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, lambda *_: None)
    uvloop.run(serve())
    if runtime.has_failed:
        raise SystemExit(1)


def release() -> str:
    """The version of the installed package."""
    try:
        return version("casegrid")
    except PackageNotFoundError:
        return "0.1.0"

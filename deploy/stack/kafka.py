"""Apache Kafka as a process of this machine: one node in KRaft mode, on loopback only, with users or open."""

import asyncio
import base64
import hashlib
import logging
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM

import aiokafka.admin
import aiokafka.errors

from chassis.kafka.connection import Connection
from deploy.stack import binaries, jars, ports
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT, Child, Specification
from deploy.stack.secrets import BROKER_ADMIN

_SOURCE = ROOT / "deploy" / "kafka"
# The administrator's password goes over loopback alone, where nobody else listens.
logging.getLogger("aiokafka.conn").addFilter(lambda said: said.msg != "Sending username and password in the clear")
_HEAP = ("-Xms128m", "-Xmx512m")
# For brokers that live for seconds: the compiler and collector that pay off at once.
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UseG1GC")


@dataclass(frozen=True)
class Broker:
    """Where a broker keeps its data and listens, and how its process is specified."""

    data: Path
    port: int
    controller_port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """Broker settings on top of server.properties."""
    java_options: Sequence[str] = ()
    passwords: Path | None = None
    """The folder with the administrator's password; None: without users, open to everybody."""

    @property
    def bootstrap(self) -> str:
        return f"{ports.LOOPBACK}:{self.port}"

    def prepare(self) -> Specification:
        """Fetches what is missing, formats the data folder if it is new; blocks for seconds. Raises `Problem`."""
        java = binaries.java()
        libs = jars.ensure()
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data.parent / f"{self.data.name}.properties"
        lines = {**settings(self.port, self.controller_port, self.data), **self._security(), **self.settings}
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        properties.write_text(text)
        if self.passwords is not None:
            tools = _text("admin.properties", {"{secrets}": self.passwords.resolve()})
            (self.data.parent / f"{self.data.name}-admin.properties").write_text(tools)
        # What Kafka's own start script sets, but for the heap; and no limping on without memory.
        flags = "-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
        flags += "-XX:+ExplicitGCInvokesConcurrent -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true -Xlog:cds=error"
        log4j = f"-Dlog4j2.configurationFile={_SOURCE / 'log4j2.properties'}"
        program = (str(java), *_HEAP, *flags.split(), *self.java_options, log4j, "-cp", f"{libs}/*")
        if not (self.data / "meta.properties").exists():
            _format(program, properties)
        archive = class_data(java, libs)
        share = (
            f"-XX:SharedArchiveFile={archive}" if archive.exists() else f"-XX:ArchiveClassesAtExit={self._recording}"
        )
        command = (program[0], share, *program[1:], "kafka.Kafka", str(properties))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]  # so that other settings start it again
        return Specification("kafka", command, environment={"CASEGRID_PROPERTIES": digest})

    def _security(self) -> dict[str, str]:
        return {} if self.passwords is None else security(self.passwords)

    def keep_class_data(self) -> None:
        """To be called after a broker ended in order: keeps what Java recorded, for every start to come."""
        if self._recording.exists():
            self._recording.replace(class_data(binaries.java(), jars.ensure()))

    @property
    def _recording(self) -> Path:
        return self.data.parent / f"{self.data.name}.jsa"


class Kafka:
    """A broker run directly; its data outlives `stop` and `kill`, and the next `start` finds it."""

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        passwords: Path | None = None,
    ) -> None:
        """`folder` gets the data and the log; without a port, a free one is taken, and without passwords it is open."""
        port = port or ports.free()
        self.broker = Broker(folder / "kafka", port, ports.free(), settings or {}, _QUICK, passwords)
        self._child = Child(folder / "run", folder / "kafka.log")

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @property
    def administrator(self) -> Connection:
        """Who may do everything there."""
        passwords = self.broker.passwords
        return Connection(self.bootstrap) if passwords is None else administrator_of(self.bootstrap, passwords)

    @property
    def data_dir(self) -> Path:
        return self.broker.data

    @property
    def port(self) -> int:
        return self.broker.port

    @property
    def pid(self) -> int | None:
        """None unless it runs."""
        return self._child.pid

    async def start(self, timeout_seconds: float = 60) -> None:
        """Starts and waits until the broker answers. Raises `Problem` where it doesn't."""
        specification = await asyncio.to_thread(self.broker.prepare)
        self._child.start(specification)
        try:
            await answering(self.administrator, timeout_seconds, lambda: self._child.check_alive("kafka"))
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        await self._child.end(SIGTERM)
        self.broker.keep_class_data()

    async def kill(self) -> None:
        """kill -9: nothing is flushed, nobody is told."""
        await self._child.end(SIGKILL)

    async def restart(self) -> None:
        await self.stop()
        await self.start()


def class_data(java: Path, libs: Path) -> Path:
    """Where Java's recording of the broker's classes is kept, with which it starts with half the work.

    Java ignores one that was made by another Java or from other jars.
    """
    return libs.parent / f"classes-{hashlib.sha256(str(java.resolve()).encode()).hexdigest()[:8]}.jsa"


def settings(port: int, controller_port: int, data: Path) -> dict[str, str]:
    """server.properties with its blanks filled in, by name."""
    return _lines("server.properties", {"{port}": port, "{controller_port}": controller_port, "{data}": data})


def security(passwords: Path) -> dict[str, str]:
    """security.properties, by name. `passwords` is the folder that holds the administrator's."""
    return _lines("security.properties", {"{secrets}": passwords.resolve()})


def administrator_of(bootstrap: str, passwords: Path) -> Connection:
    """Who makes users and rules there."""
    return Connection(bootstrap, "SASL_PLAINTEXT", "PLAIN", BROKER_ADMIN, passwords / BROKER_ADMIN)


def _lines(name: str, blanks: Mapping[str, object]) -> dict[str, str]:
    lines = (line.split("=", 1) for line in _text(name, blanks).splitlines() if line and not line.startswith("#"))
    return {name: value for name, value in lines}


def _text(name: str, blanks: Mapping[str, object]) -> str:
    text = (_SOURCE / name).read_text()
    for blank, value in blanks.items():
        text = text.replace(blank, str(value))
    return text


async def answering(broker: Connection, timeout_seconds: float, check: Callable[[], None] = lambda: None) -> None:
    """Waits until the broker answers a request; `check` may raise to end the wait. Raises `Problem` when time is up.

    Without any time it asks once.
    """
    host, _, port = broker.servers.split(",")[0].rpartition(":")
    deadline = time.monotonic() + timeout_seconds
    while True:
        check()
        fault: Exception
        try:
            # A bare connection first: the client logs an error for every refusal.
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 5)
            writer.close()
            admin = aiokafka.admin.AIOKafkaAdminClient(**broker.options(), request_timeout_ms=5000)
            try:
                await broker.reach(admin.start())
                if (await admin.describe_cluster())["brokers"]:
                    return
                fault = Problem("no broker is registered yet")
            finally:
                await admin.close()
        except (OSError, TimeoutError, aiokafka.errors.KafkaError) as refused:
            fault = refused
        if time.monotonic() > deadline:
            waited = f" after {timeout_seconds:.0f} s" if timeout_seconds else ""
            raise Problem(
                f"the broker at {broker.servers} does not answer{waited}: {str(fault) or type(fault).__name__}"
            )
        await asyncio.sleep(0.1)


def cluster_id(draw: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """A new cluster's id as Kafka makes one: a UUID in base 64, never with a hyphen first, which reads as an option."""
    while True:
        made = base64.urlsafe_b64encode(draw().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made


def _format(program: tuple[str, ...], properties: Path) -> None:
    tool = ("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id(), "--config", str(properties))
    done = subprocess.run((*program, *tool), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"Kafka's data folder could not be made: {(done.stderr or done.stdout).strip()[-400:]}")

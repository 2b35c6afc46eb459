"""Which Kafka and PostgreSQL the tests run on: the embedded ones, or containers of a Docker engine.

CASEGRID_TEST_INFRASTRUCTURE says it: `embedded`, `docker`, or `auto`, which takes containers where an engine answers
and has the images or gets them, and else the embedded ones. What is taken, and why, stands in the head of pytest's
report. A server that the environment gives (KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL) is used whatever is chosen.
"""

import gc
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from deploy.stack.jars import version

SETTING = "CASEGRID_TEST_INFRASTRUCTURE"
KAFKA_IMAGE = f"apache/kafka:{version()}"
POSTGRES_IMAGE = "postgres:17-alpine"
Lacking = Callable[[], str | None]
"""Finds out what containers lack; None where they can be had."""

_SOCKET = Path("/var/run/docker.sock")
_PULL_SECONDS = 300


@dataclass(frozen=True)
class Choice:
    """`kind` is `embedded` or `docker`; `why` is for people."""

    kind: str
    why: str


def choose(wanted: str, lacking: Lacking) -> Choice:
    """What the setting comes to.

    Raises `pytest.UsageError` for another value, and where containers were asked for and cannot be had.
    """
    if wanted == "embedded":
        return Choice("embedded", f"{SETTING}=embedded")
    if wanted not in ("auto", "docker"):
        raise pytest.UsageError(f"{SETTING}={wanted}: must be auto, embedded or docker")
    fault = lacking()
    if fault is None:
        return Choice("docker", "an engine answers and has the images")
    if wanted == "docker":
        raise pytest.UsageError(f"{SETTING}=docker: {fault}")
    return Choice("embedded", fault)


def lacking(images: Sequence[str] = (KAFKA_IMAGE, POSTGRES_IMAGE)) -> str | None:
    """What containers lack on this machine; None where they can be had. Pulls images that the engine lacks."""
    if "DOCKER_HOST" not in os.environ and not _SOCKET.exists():
        return "no Docker engine is here"
    try:
        client = docker.from_env(timeout=5)
    except DockerException as fault:
        return _left_open(f"no Docker engine answers: {fault}")
    try:
        for image in images:
            _have(client, image)
    except (DockerException, RequestException) as fault:
        return f"no containers can be had: {fault}"
    finally:
        client.close()
    return None


def _left_open(said: str) -> str:
    """The same; the library leaves a socket open where it could not connect, which would count as a fault of a test."""
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()
    return said


def _have(client: docker.DockerClient, image: str) -> None:
    try:
        client.images.get(image)
    except ImageNotFound:
        pulling = docker.from_env(timeout=_PULL_SECONDS)
        try:
            pulling.images.pull(image)
        finally:
            pulling.close()


def taken() -> str:
    """`embedded` or `docker`, once pytest has begun."""
    return os.environ[SETTING]

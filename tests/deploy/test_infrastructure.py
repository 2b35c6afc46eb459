"""The servers that the tests run on: which are taken, what is said of it, and who can reach them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import choice, containers
from tests.support.choice import SETTING, Choice, choose


def there() -> None:
    """Containers lack nothing."""


def away() -> str:
    return "no Docker engine is here"


@pytest.mark.parametrize(
    ("wanted", "lacking", "chosen"),
    [
        ("embedded", there, Choice("embedded", f"{SETTING}=embedded")),
        ("docker", there, Choice("docker", "an engine answers and has the images")),
        ("auto", there, Choice("docker", "an engine answers and has the images")),
        ("auto", away, Choice("embedded", "no Docker engine is here")),
    ],
)
def test_what_is_taken(wanted: str, lacking: choice.Lacking, chosen: Choice) -> None:
    assert choose(wanted, lacking) == chosen


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("docker", f"{SETTING}=docker: no Docker engine is here"),
        ("containers", f"{SETTING}=containers: must be auto, embedded or docker"),
        ("", f"{SETTING}=: must be auto, embedded or docker"),
    ],
)
def test_what_is_refused(wanted: str, words: str) -> None:
    with pytest.raises(pytest.UsageError) as fault:
        choose(wanted, away)
    assert str(fault.value) == words


def test_an_engine_that_does_not_answer_is_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobody = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(nobody))
    for address in (f"unix://{nobody}", "tcp://127.0.0.1:1"):
        monkeypatch.setenv("DOCKER_HOST", address)
        assert (choice.lacking() or "").startswith("no Docker engine answers: ")


def test_containers_are_made_without_a_warning_and_reached_from_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Warnings are errors here, and the library has moved its parts before."""
    monkeypatch.setattr("testcontainers.core.container.DockerClient", lambda **_: None)  # it would look for an engine
    assert containers.kafka(40001).ports == {"9092": ("127.0.0.1", 40001)}
    assert containers.postgres(40002).ports == {"5432": ("127.0.0.1", 40002)}


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ("embedded", 0, f"Kafka and PostgreSQL: embedded ({SETTING}=embedded)"),
        ("nothing", 4, f"{SETTING}=nothing: must be auto, embedded or docker"),
    ],
)
def test_pytest_says_what_is_taken(wanted: str, status: int, words: str) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "--collect-only", "-k", "nothing_of_that_name", __file__),
        env={**os.environ, SETTING: wanted, "PYTEST_XDIST_WORKER": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert words in done.stdout + done.stderr
    assert done.returncode == (status or pytest.ExitCode.NO_TESTS_COLLECTED)

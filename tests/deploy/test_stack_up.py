"""`up`, `status`, `down` and `reset` as a user has them, on the real broker and database."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.district.__main__ import main as write_district
from deploy.partners import read
from deploy.stack import ports, topics
from deploy.stack.process import ROOT
from tests.deploy.waiting import until

SERVERS = ("supervisord", "postgres", "kafka")


class Stack:
    """The commands, on a folder and ports of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: ports.free() for name in ("POSTGRES_PORT", "KAFKA_PORT", "KAFKA_CONTROLLER_PORT")}
        given = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL")
        self.environment = {name: value for name, value in os.environ.items() if name not in given}
        self.environment |= {"CASEGRID_DATA": str(folder)} | {name: str(port) for name, port in self.ports.items()}
        self.environment["CASEGRID_DISTRICT"] = str(folder / "district" / "tiny")

    def run(self, *arguments: str, module: str = "deploy.stack") -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", module, *arguments)
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def status(self) -> dict[str, tuple[str, int | None]]:
        rows = json.loads(self.run("status", "--json").stdout)
        return {row["name"]: (row["state"], row["pid"]) for row in rows if row["name"] in SERVERS}


@pytest.fixture
def stack(infrastructure_folder: Path) -> Iterator[Stack]:
    stack = Stack(infrastructure_folder / f"stack-{uuid.uuid4().hex[:8]}")
    yield stack
    stack.run("reset")


async def test_up_status_up_again_kill_down_and_reset(stack: Stack) -> None:
    up = stack.run("up", "--only", "kafka,postgres")
    assert up.returncode == 0, up.stderr
    first = stack.status()
    assert {name: state for name, (state, _) in first.items()} == dict.fromkeys(SERVERS, "running")

    assert stack.run("up", "--only", "kafka,postgres").returncode == 0
    assert stack.status() == first, "a second `up` changed something"

    pid = first["postgres"][1]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: stack.status()["postgres"] not in (("down", None), ("running", pid)), "postgres started again")

    down = stack.run("down")
    assert down.returncode == 0, down.stderr
    assert stack.status() == dict.fromkeys(SERVERS, ("down", None))
    assert not any(ports.busy(port) for port in stack.ports.values())
    assert (stack.folder / "kafka" / "meta.properties").exists()

    assert stack.run("reset").returncode == 0
    assert not (stack.folder / "kafka").exists()
    assert not (stack.folder / "postgres").exists()


async def test_partners_outlive_the_stack_and_find_their_topics_again(stack: Stack) -> None:
    assert write_district(["--scale", "tiny", "--out", stack.environment["CASEGRID_DISTRICT"]]) == 0
    file = stack.folder / "district" / "partners.json"
    bootstrap = f"127.0.0.1:{stack.ports['KAFKA_PORT']}"
    assert stack.run("up", "--only", "kafka").returncode == 0
    added = stack.run("add", "--units=dept:water", "--says=reports,steps", "water", module="deploy.partners")
    assert added.returncode == 0, added.stderr
    assert hashlib.sha256(added.stdout.split()[-1].encode()).hexdigest() in read(file).by_key
    registered = file.read_bytes()

    assert stack.run("up", "--only", "kafka").returncode == 0
    assert file.read_bytes() == registered

    reset = stack.run("reset")
    assert f"kept {file}" in reset.stdout
    assert file.read_bytes() == registered
    assert stack.run("up", "--only", "kafka").returncode == 0
    assert file.read_bytes() == registered
    assert await topics.create(bootstrap, topics.of_partner("water"), 6) == [], "`up` made them anew"


def test_a_partners_file_that_is_not_usable_stops_up_before_anything_runs(stack: Stack) -> None:
    file = stack.folder / "district" / "partners.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"partners": [{"id": "water", "name": "x", "says": ["everything"]}]}')
    up = stack.run("up", "--only", "kafka")
    assert up.returncode == 1
    assert up.stderr.startswith(f"{file} is not usable: partners.0.says.0: ")
    assert stack.status() == dict.fromkeys(SERVERS, ("down", None))


def test_a_busy_port_stops_up_before_anything_runs(stack: Stack) -> None:
    port = stack.ports["KAFKA_PORT"]
    with socket.create_server(("127.0.0.1", port)):
        up = stack.run("up", "--only", "kafka,postgres")
    assert up.returncode == 1
    assert up.stderr.startswith(f"port {port} for kafka is in use by process {os.getpid()} ")
    assert f"KAFKA_PORT={port + 1000} make up" in up.stderr
    assert len(up.stderr.splitlines()) == 1
    assert stack.status() == dict.fromkeys(SERVERS, ("down", None))

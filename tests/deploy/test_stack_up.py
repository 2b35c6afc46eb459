"""`up`, `status`, `down` and `reset` as a user has them, on the real broker and database."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import ports
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

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "deploy.stack", *arguments)
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def status(self) -> dict[str, tuple[str, int | None]]:
        rows = json.loads(self.run("status", "--json").stdout)
        return {row["name"]: (row["state"], row["pid"]) for row in rows if row["name"] in SERVERS}


@pytest.fixture
def stack(infrastructure_folder: Path) -> Iterator[Stack]:
    stack = Stack(infrastructure_folder / "stack")
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


def test_a_busy_port_stops_up_before_anything_runs(stack: Stack) -> None:
    port = stack.ports["KAFKA_PORT"]
    with socket.create_server(("127.0.0.1", port)):
        up = stack.run("up", "--only", "kafka,postgres")
    assert up.returncode == 1
    assert up.stderr.startswith(f"port {port} for kafka is in use by process {os.getpid()} ")
    assert f"KAFKA_PORT={port + 1000} make up" in up.stderr
    assert len(up.stderr.splitlines()) == 1
    assert stack.status() == dict.fromkeys(SERVERS, ("down", None))

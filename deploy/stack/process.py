"""One process of the stack: its specification, running it as a child, and ending it wherever it came from."""

import asyncio
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.stack import identity
from deploy.stack.logs import tail
from deploy.stack.problem import Problem

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Specification:
    """What `launch` turns itself into. `user` is (uid, gid) to become, for a program that refuses to run as root."""

    name: str
    command: Sequence[str]
    directory: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] | None = None
    death_signal: signal.Signals | None = signal.SIGTERM
    """Sent by the kernel when the parent dies; None: lives on."""

    def write(self, folder: Path) -> list[str]:
        """Writes `<name>.json`, for its owner only since it may hold passwords; returns the command that runs it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        partial = path.with_suffix(".json.partial")
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self._text())
        partial.replace(path)
        return [sys.executable, "-m", "deploy.stack.launch", str(path)]

    def digest(self) -> str:
        """Changes whenever anything of the specification does."""
        return hashlib.sha256(self._text()).hexdigest()[:16]

    def _text(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), indent=2, default=str, sort_keys=True).encode()


class Child:
    """A process of the stack run directly, without a process manager; tests and tools use this.

    Start it from a thread that lives as long as it should: on Linux it dies with the thread that started it.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """None unless it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, specification: Specification) -> None:
        if self.pid is not None:
            raise RuntimeError(f"{specification.name} already runs as process {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                specification.write(self.folder),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # ctrl-c at the terminal is for the test run, not for its servers
            )

    async def end(self, number: signal.Signals, grace_seconds: float = 60) -> None:
        """Sends the signal, waits, and kills what is still there after the grace, descendants too."""
        process = self._process
        if process is None:
            return
        family = _family(process.pid)
        if process.poll() is None:
            process.send_signal(number)
        await _until_gone(family, grace_seconds, process)
        process.wait()
        self._process = None

    def check_alive(self, name: str) -> None:
        """Raises `Problem` with the end of its log where it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise Problem(f"{name} ended with status {self._process.returncode}; {tail(self.log)}")


async def end_noted(folder: Path, name: str, number: signal.Signals, grace_seconds: float = 30) -> bool:
    """Ends the process noted as `name`, whoever its parent is; False where it is not running any more.

    A process that merely has the same id by now is left alone.
    """
    pid = identity.noted(folder, name)
    if pid is not None:
        family = _family(pid)
        os.kill(pid, number)
        await _until_gone(family, grace_seconds)
    identity.forget(folder, name)
    return pid is not None


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


async def _until_gone(
    family: list[psutil.Process], grace_seconds: float, child: subprocess.Popen[bytes] | None = None
) -> None:
    deadline = time.monotonic() + grace_seconds
    killed = False
    while alive := [process for process in family if _lives(process, child)]:
        if time.monotonic() > deadline and not killed:
            for process in alive:
                _kill(process)
            killed = True
        await asyncio.sleep(0.02)


def _lives(process: psutil.Process, child: subprocess.Popen[bytes] | None) -> bool:
    if child is not None and process.pid == child.pid:
        return child.poll() is None
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return

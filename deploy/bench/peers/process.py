"""One of the compared services as a process: started, halted, let go on, ended; and what it and the servers spend."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from deploy.bench import usage
from deploy.stack.logs import tail
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

LOOK_SECONDS = 0.05
"""How often it is asked whether a process is done."""
SERVERS = ("kafka", "postgres")
_LINES = 15


class Process:
    """Use as an async context manager: it runs until the end of the context. What it says goes to the file `log`."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Process":
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=dict(self._environment), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    def halt(self) -> None:
        """Stops it where it is; its connections stay open."""
        self._running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets it go on after `halt`."""
        self._running.send_signal(signal.SIGCONT)

    async def until(self, true: Callable[[], Awaitable[bool]], what: str, seconds: float) -> None:
        """Waits until that is true. Raises `Problem` where it is not in time, or the process has ended."""
        deadline = time.monotonic() + seconds
        while not await true():
            if self._running.returncode is not None:
                raise Problem(f"{self.name} ended instead of {what}:\n{tail(self._log, _LINES)}")
            if time.monotonic() > deadline:
                raise Problem(f"{self.name} was not done with {what} in {seconds:.0f} s:\n{tail(self._log, _LINES)}")
            await asyncio.sleep(LOOK_SECONDS)

    def spent(self, run: Path) -> dict[str, float]:
        """CPU seconds of the process so far, and of the servers whose pid files lie in `run`."""
        return {"service": usage.tree(self._running.pid), **servers(run)}


def servers(run: Path) -> dict[str, float]:
    """CPU seconds of the servers so far."""
    return {name: one.cpu_seconds for name, one in usage.of_stack(run).items() if name in SERVERS}

"""Where each service spends its processor time while cases flow at once: a flame graph for each, drawn by py-spy.

py-spy reads the memory of the services' processes from outside. It needs the right to do so: root's, or a kernel whose
`kernel.yama.ptrace_scope` is 0. Without it there are no drawings, and the benchmark goes on.
"""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from contracts.status import SERVICES
from deploy.bench import environment
from deploy.stack.logs import tail
from deploy.stack.problem import Problem

LOCK = Path(__file__).with_name("py-spy.lock")
_HERTZ = 200
_LINES = 5


class Flames:
    """Use as an async context manager: it records from entering to leaving. The drawings go to the folder `into`."""

    def __init__(self, run: Path, into: Path, tell: Callable[[str], None], program: Path | None = None) -> None:
        """`run` is the folder of the stack's pid files; `program` is py-spy, fetched where none is named."""
        self._run = run
        self._into = into
        self._tell = tell
        self._program = program
        self._recorders: dict[str, asyncio.subprocess.Process] = {}

    async def __aenter__(self) -> "Flames":
        try:
            program = self._program or await asyncio.to_thread(self._fetched)
            self._into.mkdir(parents=True, exist_ok=True)
            for name in SERVICES:
                self._recorders[name] = await self._record(str(program), name)
        except (Problem, OSError) as fault:
            self._tell(f"not all services are drawn: {fault}")
        return self

    async def __aexit__(self, *_: object) -> None:
        for recorder in self._recorders.values():
            if recorder.returncode is None:
                recorder.send_signal(signal.SIGINT)  # it draws what it has
        for name, recorder in self._recorders.items():
            if await recorder.wait() != 0:
                self._tell(f"py-spy could not look into {name}:\n{tail(self._log(name), _LINES)}")
            self._log(name).unlink()

    def _fetched(self) -> Path:
        return environment.programs(self._tell, LOCK, "py-spy") / "py-spy"

    async def _record(self, program: str, name: str) -> asyncio.subprocess.Process:
        pid = (self._run / f"{name}.pid").read_text().strip()
        options = ("--pid", pid, "--rate", f"{_HERTZ}", "--duration", "unlimited", "--format", "flamegraph")
        with self._log(name).open("wb") as log:
            return await asyncio.create_subprocess_exec(
                program, "record", *options, "--output", str(self._into / f"{name}.svg"),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _log(self, name: str) -> Path:
        return self._into / f"{name}.log"

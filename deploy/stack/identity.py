"""Which process a noted id means: a process id together with what tells it from a later process with the same id.

`<name>.pid` holds the bare id, for people and tools; `<name>.identity` beside it holds the instant the process began,
too, and nothing is ended unless both agree. Only the standard library: `launch` uses this at every restart.
"""

import os
import subprocess
import sys
from pathlib import Path


def of(pid: int) -> str | None:
    """What distinguishes the living process `pid` from every other that ever has the same id; None where there is none.

    A process that ended, but that its parent has not yet been told of, counts as none.
    """
    if sys.platform.startswith("linux"):
        return _linux(pid)
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout.split(maxsplit=1)
    return answer[1].strip() if len(answer) == 2 and not answer[0].startswith("Z") else None


def _linux(pid: int) -> str | None:
    try:
        # The second field is the program's name in parentheses and may hold anything, so count from its end.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks_at_start = fields[0], fields[19]
    if state in "ZX":
        return None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {ticks_at_start}"


def note(folder: Path, name: str) -> None:
    """Notes this process as `name`; once `noted` finds it, the file with the bare id is right, too."""
    pid = os.getpid()
    for suffix, text in (("pid", str(pid)), ("identity", f"{pid} {of(pid)}")):
        path = folder / f"{name}.{suffix}"
        partial = path.with_suffix(f".{suffix}.{pid}")
        partial.write_text(text + "\n")
        partial.replace(path)


def noted(folder: Path, name: str) -> int | None:
    """The id of the process noted as `name` if that very process still lives."""
    try:
        pid, _, identity = (folder / f"{name}.identity").read_text().strip().partition(" ")
    except FileNotFoundError:
        return None
    return int(pid) if pid.isdigit() and of(int(pid)) == identity else None


def forget(folder: Path, name: str) -> None:
    for suffix in ("pid", "identity"):
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)

"""The last step before a program of the stack runs: notes who it is, ties it to its parent, drops root, and becomes the program.

`python -m deploy.stack.launch SPEC.json`; the specification is written by `process.Specification.write`. The program keeps
this process' id, so what is noted here stays true. Only the standard library, and little of it: this runs at every restart.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main(path: str) -> None:
    specification = json.loads(Path(path).read_bytes())
    user = specification["user"]
    if user is not None:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    die_with_parent(specification["death_signal"], specification["parent"])
    os.chdir(specification["directory"])
    os.umask(0o077)
    command = specification["command"]
    os.execve(command[0], command, {**os.environ, **specification["environment"]})


def note_self(path: Path) -> None:
    """Writes this process' id and what tells it from a later process with the same id; both appear at once."""


def die_with_parent(number: int, parent: int | None) -> None:
    """Asks the kernel for a signal when the parent dies, so that kill -9 of the parent leaves nothing behind.

    Only Linux can; elsewhere the noted process ids do the same at the next `down`.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent if parent is not None else os.getppid() == 1:
        signal.raise_signal(signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])

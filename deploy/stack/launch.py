"""The last step before a program of the stack runs: notes who it is, drops root, ties it to its parent, and becomes it.

`python -m deploy.stack.launch SPECIFICATION.json`; `process.Specification` writes that file. The program keeps this
process' id, so what is noted here stays true. Only the standard library, and little of it: this runs at every restart.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from deploy.stack import identity

_PR_SET_PDEATHSIG = 1


def main(path: Path) -> None:
    specification = json.loads(path.read_bytes())
    parent = os.getppid()
    identity.note(path.parent, specification["name"])
    os.chdir(specification["directory"])
    os.umask(0o077)
    if specification["user"] is not None:
        uid, gid = specification["user"]
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    _die_with(parent, specification["death_signal"])  # after setuid, which would undo it
    command = specification["command"]
    os.execve(command[0], command, {**os.environ, **specification["environment"]})


def _die_with(parent: int, number: int | None) -> None:
    """Asks the kernel for a signal when the parent dies, so that kill -9 of the parent leaves nothing behind.

    Only Linux can; elsewhere the next `down` ends what was noted.
    """
    if number is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        signal.raise_signal(signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

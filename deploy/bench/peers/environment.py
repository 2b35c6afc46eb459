"""The peers' own Python environment: what they need must not weigh on the project's.

It is made on first use from requirements.lock beside this file, and again when that changes.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

LOCK = Path(__file__).with_name("requirements.lock")
_TOOLS = ROOT / ".data" / "tools"


def python(tell: Callable[[str], None], folder: Path = _TOOLS / "peers", lock: Path = LOCK) -> Path:
    """Its interpreter, in `folder`. Raises `Problem` where the packages cannot be had."""
    found = folder / "bin" / "python"
    made, wanted = folder / "made-from-lock", hashlib.sha256(lock.read_bytes()).hexdigest()
    if found.exists() and made.exists() and made.read_text() == wanted:
        return found
    tell("fetching the peers' packages (FastStream, faststream-outbox)")
    uv = shutil.which("uv") or str(_TOOLS / "bin" / "uv")  # where environment.sh looks for it, or puts it
    _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    _run(uv, "pip", "install", "--quiet", "--python", str(found), "--require-hashes", "-r", str(lock))
    made.write_text(wanted)
    return found


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as fault:
        raise Problem("the peers' packages can't be installed: uv is not here; install it and try again") from fault
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Problem(
            f"the peers' packages could not be installed from the package index ({last[:200]}): check the connection"
        )

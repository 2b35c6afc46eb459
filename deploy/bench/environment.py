"""Python environments of programs that the benchmark runs beside the project: what they need must not weigh on it.

One is made on first use from a file of pinned packages, and again when that changes.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

_TOOLS = ROOT / ".data" / "tools"


def programs(tell: Callable[[str], None], lock: Path, name: str, folder: Path = _TOOLS) -> Path:
    """The folder with its `python` and other programs. Raises `Problem` where the packages cannot be had."""
    made_in = folder / name
    made, wanted = made_in / "made-from-lock", hashlib.sha256(lock.read_bytes()).hexdigest()
    if not (made.exists() and made.read_text() == wanted):
        tell(f"fetching packages for the benchmark: {name}")
        uv = shutil.which("uv") or str(_TOOLS / "bin" / "uv")  # where environment.sh looks for it, or puts it
        _run(name, uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(made_in))
        interpreter = str(made_in / "bin" / "python")
        _run(name, uv, "pip", "install", "--quiet", "--python", interpreter, "--require-hashes", "-r", str(lock))
        made.write_text(wanted)
    return made_in / "bin"


def _run(name: str, *command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as fault:
        raise Problem(f"packages for {name} can't be installed: uv is not here; install it and try again") from fault
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Problem(
            f"packages for {name} could not be installed from the package index ({last[:200]}): check the connection"
        )

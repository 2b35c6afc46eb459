"""The stack's commands as a user has them, on a folder and ports of one test's own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.stack import ports
from deploy.stack.plan import PORTS
from deploy.stack.process import ROOT

OWN_SERVERS = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL")


class Stack:
    """`python -m deploy.stack` with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {variable: ports.free() for variable, _ in PORTS.values()}
        self.environment = {name: value for name, value in os.environ.items() if name not in OWN_SERVERS}
        self.environment |= {"CASEGRID_DATA": str(folder)} | {name: str(port) for name, port in self.ports.items()}
        self.environment["CASEGRID_DISTRICT"] = str(folder / "district" / "tiny")

    def run(self, *arguments: str, module: str = "deploy.stack", **variables: str) -> subprocess.CompletedProcess[str]:
        """Of the environment, `variables` are other; an empty one counts as not set."""
        environment = {**self.environment, **variables}
        command = (sys.executable, "-m", module, *arguments)
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def rows(self) -> dict[str, dict[str, Any]]:
        """What `status --json` says, by name."""
        return {row["name"]: row for row in json.loads(self.run("status", "--json").stdout)}

    def status(self) -> dict[str, tuple[str, int | None]]:
        """State and process id of everything that should run."""
        return {name: (row["state"], row["pid"]) for name, row in self.rows().items()}


@contextmanager
def stack_in(folder: Path) -> Iterator[Stack]:
    """A stack that is reset in the end."""
    stack = Stack(folder)
    try:
        yield stack
    finally:
        stack.run("reset")

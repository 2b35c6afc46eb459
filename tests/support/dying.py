"""`python -m tests.support.dying <service> <point> <marker>`: runs a service that kills itself once, at a point.

It dies (SIGKILL) when it comes there for the second time, unless the file `marker` is there, which it makes before.
"""

import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.engine.commands import Commands
from chassis.engine.effects import Effects
from chassis.kafka.offsets import Offsets
from chassis.kafka.relay import Relay
from chassis.store.outbox import Outbox
from chassis.store.transaction import Transaction
from chassis.worker import DecidingWorker, RecordingWorker
from contracts.status import SERVICES

_TIMES = 2


@dataclass(frozen=True)
class Point:
    """Before or after a method; `concerns` says which calls count, by their arguments."""

    owner: type
    method: str
    after: bool
    concerns: Callable[..., bool] = lambda *_: True


def _several(*arguments: Any) -> bool:
    return len(arguments[-1]) > 1


def _something(*arguments: Any) -> bool:
    return len(arguments[-1]) > 0


def _begun(*arguments: Any) -> bool:
    return arguments[0]._begun


DECIDING = tuple(name for name in SERVICES if name != "audit")
POINTS: Mapping[str, tuple[tuple[str, ...], tuple[Point, ...]]] = {
    "several commands decided together, before COMMIT": (
        ("intake",),
        (Point(Commands, "_run", True, _several),),
    ),
    "several commands committed together, before the answers": (
        ("intake",),
        (Point(Commands, "_transact", True, _several),),
    ),
    "a batch decided, before it is written": (DECIDING, (Point(Effects, "finish", True),)),
    "a batch written behind its locks, before COMMIT": (("triage",), (Point(Transaction, "send", True, _begun),)),
    "a batch committed, before its offsets": (
        SERVICES,
        (Point(DecidingWorker, "process", True), Point(RecordingWorker, "process", True)),
    ),
    "offsets on the way to the broker": (SERVICES, (Point(Offsets, "commit", False),)),
    "facts sent, before that is noted": (DECIDING, (Point(Relay, "_send_all", True, _something),)),
    "facts noted as sent, before the next are read": (DECIDING, (Point(Outbox, "note", True),)),
}
"""Name -> the services that come there, and where it is."""


def _armed(point: Point, marker: Path) -> Callable[..., Awaitable[Any]]:
    original, passed = getattr(point.owner, point.method), 0

    def come() -> None:
        nonlocal passed
        passed += 1
        if passed == _TIMES:
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def call(*arguments: Any, **named: Any) -> Any:
        counts = point.concerns(*arguments)
        if counts and not point.after:
            come()
        found = await original(*arguments, **named)
        if counts and point.after:
            come()
        return found

    return call


def main() -> None:
    """Arms the point, and runs the service as its own program does."""
    service, name, marker = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if not marker.exists():
        for point in POINTS[name][1]:
            setattr(point.owner, point.method, _armed(point, marker))
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

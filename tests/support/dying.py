"""`python -m tests.support.dying <service> <point> <marker>`: runs a service that kills itself once, at a point.

It dies (SIGKILL) when it comes there for the second time, unless the file `marker` is there, which it makes before.
"""

import asyncio
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chassis.engine.commands import Commands
from chassis.engine.effects import Effects
from chassis.kafka.offsets import Offsets
from chassis.kafka.relay import Relay
from chassis.store import transaction as transaction_module
from chassis.store.outbox import Outbox
from chassis.store.transaction import Transaction, Write
from chassis.worker import DecidingWorker, RecordingWorker
from contracts.status import SERVICES

_TIMES = 2


@dataclass(frozen=True)
class Point:
    """Before a method, while it is under way, or after it; `concerns` says which calls count, by their arguments."""

    owner: type
    method: str
    when: Literal["before", "during", "after"]
    concerns: Callable[..., bool] = lambda *_: True


def _several(*arguments: Any) -> bool:
    return len(arguments[-1]) > 1


def _something(*arguments: Any) -> bool:
    return len(arguments[-1]) > 0


def _some_rows(*arguments: Any) -> bool:
    return len(arguments[1]) > 0


def _begun(*arguments: Any) -> bool:
    return arguments[0]._begun


SEVERAL = "the first of several statements written, before COMMIT"
"""Of few rows too, then."""
DECIDING = tuple(name for name in SERVICES if name != "audit")
POINTS: Mapping[str, tuple[tuple[str, ...], tuple[Point, ...]]] = {
    "several commands decided together, before they are written": (
        ("intake",),
        (Point(Commands, "_run", "after", _several),),
    ),
    "several commands committed together, before the answers": (
        ("intake",),
        (Point(Commands, "_transact", "after", _several),),
    ),
    "a batch decided, before it is written": (DECIDING, (Point(Effects, "finish", "after"),)),
    "a batch written behind its locks, before COMMIT": (("triage",), (Point(Transaction, "send", "after", _begun),)),
    "a statement that writes everything, under way": (
        DECIDING,
        (Point(Transaction, "_send", "during", _some_rows),),
    ),
    SEVERAL: (DECIDING, (Point(Write, "at_once", "after"),)),
    "a batch committed, before its offsets": (
        SERVICES,
        (Point(DecidingWorker, "process", "after"), Point(RecordingWorker, "process", "after")),
    ),
    "offsets on the way to the broker": (SERVICES, (Point(Offsets, "commit", "before"),)),
    "facts sent, before that is noted": (DECIDING, (Point(Relay, "_send_all", "after", _something),)),
    "facts noted as sent, before the next are read": (DECIDING, (Point(Outbox, "note", "after"),)),
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
        if point.when == "before" and point.concerns(*arguments):
            come()
        under_way = asyncio.ensure_future(original(*arguments, **named))
        if point.when == "during" and point.concerns(*arguments):
            await asyncio.sleep(0)  # now it has sent what it has to send
            come()
        found = await under_way
        if point.when == "after" and point.concerns(*arguments):
            come()
        return found

    return call


def main() -> None:
    """Arms the point, and runs the service as its own program does."""
    service, name, marker = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if not marker.exists():
        if name == SEVERAL:
            transaction_module._TOGETHER = 0
        for point in POINTS[name][1]:
            setattr(point.owner, point.method, _armed(point, marker))
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

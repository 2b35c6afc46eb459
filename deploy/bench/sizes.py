"""The lifecycle and the cost of GETs at every size of history, and a spike at the largest.

What is loaded makes the stack one that is thrown away afterwards, so it takes an option that names the sizes.
"""

import asyncio
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from contracts.status import SERVICES
from deploy.bench import lifecycle, past, reads, spike
from deploy.bench.database import connected
from deploy.bench.phases import Ground, settled
from deploy.stack.problem import Problem

CALLERS = 32
_WARM = 64
_REBUILT = 100_000
"""Up to this size the derived tables are made anew from the events, and must come out the same."""


@dataclass(frozen=True)
class Step:
    """`size` is what was asked for, 0 for what is there; `more` cases are loaded for it."""

    size: int
    more: int


def sizes(words: str) -> tuple[int, ...]:
    """As an option names them, separated by commas, in order. Raises `ArgumentTypeError`."""
    try:
        found = sorted({int(word) for word in words.split(",") if word.strip()})
    except ValueError:
        raise ArgumentTypeError(f"{words}: sizes are numbers of cases, separated by commas") from None
    if found and found[0] <= 0:
        raise ArgumentTypeError(f"{words}: a size is a number of cases above 0")
    return tuple(found)


def plan(wanted: Sequence[int], present: int) -> Iterator[Step]:
    """First what is there, then each size that is larger."""
    yield Step(0, 0)
    for size in sorted(wanted):
        if size > present:
            yield Step(size, size - present)
            present = size


async def refuse_unfit(database: str, wanted: Sequence[int]) -> None:
    """Raises `Problem` where these sizes cannot be loaded: cases of others are there, or the disk is too small."""
    if wanted:
        async with connected(database) as connection:
            await past.refuse_others(connection)
        past.refuse_without_room(Path.cwd(), sum(step.more for step in plan(wanted, await past.present(database))))


async def at_every_size(
    ground: Ground, wanted: Sequence[int], lifecycles: int, found: dict[str, Any], console: Console
) -> None:
    """Fills `found`: size -> its figures. Raises `Problem` and `TimeoutError`."""
    await refuse_unfit(ground.database, wanted)
    steps = list(plan(wanted, await past.present(ground.database)))
    await lifecycle.lifecycles(ground, CALLERS, _WARM)  # closed cases of its kind, to be copied, are there after it
    largest = "0"
    for step in steps:
        await settled(ground)
        loaded = await _loaded(ground, step, console) if step.more else {}
        largest = str(step.size)
        found[largest] = {
            "cases": await past.present(ground.database),
            "database_bytes": await _bytes(ground.database),
            **loaded,
            "lifecycle": await lifecycle.lifecycles(ground, CALLERS, lifecycles),
            "reads": await reads.costs(ground),
        }
    found[largest]["spike"] = await spike.spike(ground, found[largest]["lifecycle"])
    if wanted:
        console.print("[yellow]this stack now holds generated cases: `make reset` drops them[/yellow]")


async def _loaded(ground: Ground, step: Step, console: Console) -> dict[str, Any]:
    began = time.monotonic()
    await past.load(ground.database, step.more, console)
    took = time.monotonic() - began
    found: dict[str, Any] = {"loaded": step.more, "loaded_per_second": step.more / took}
    if step.size <= _REBUILT:
        found["rebuilt_per_second"] = {name: await _rebuilt(name, step.size, console) for name in SERVICES}
    return found


async def _rebuilt(service: str, cases: int, console: Console) -> float:
    """Cases a second. Raises `Problem` where the tables are not the same afterwards."""
    console.print(f"rebuilding what {service} derives")
    began = time.monotonic()
    command = (sys.executable, "-m", "deploy.stack", "rebuild", service)
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    try:
        said = (await running.communicate())[0].decode()
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()
    if running.returncode != 0 or any(not line.endswith(" equal") for line in said.splitlines()):
        raise Problem(f"the tables of {service} are not what its events say: {said}")
    return cases / (time.monotonic() - began)


async def _bytes(database: str) -> int:
    async with connected(database) as connection:
        found: int | None = await connection.fetchval("SELECT pg_database_size(current_database())")
    return found or 0

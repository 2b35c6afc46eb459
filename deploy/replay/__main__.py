"""`python -m deploy.replay --file FILE --format nyc311|messages`: replays a file of real reports through the stack.

Exit status 0: every case was closed, nothing of it is parked, and audit's account is the one seen here; 1: not so, and
what differs is named;
2: the file or the stack could not be used.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console

from chassis.ids import uuid7
from deploy.replay import district, messages, nyc311, report, summary
from deploy.replay.client import SwiftCity
from deploy.replay.district import District
from deploy.replay.feed import Feed
from deploy.replay.people import People
from deploy.replay.play import Play, Stuck
from deploy.replay.rows import Reject, Report, Unreadable
from deploy.simulation.city import City, Person, Refusal
from deploy.stack.plan import SERVICES
from deploy.stack.problem import Problem

_AUDIT_SECONDS = 60
"""How long audit may take to have everything."""


@dataclass(frozen=True)
class Format:
    """How a file is read, and what is to be said about its places."""

    read: Callable[[Path, District, datetime], Iterator[Report | Reject]]
    places: str


FORMATS = {
    nyc311.NAME: Format(nyc311.read, nyc311.PLACES),
    messages.NAME: Format(messages.read, messages.PLACES),
}


def main(arguments: list[str]) -> int:
    """Replays, prints, writes; the exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        found = uvloop.run(_replay(options, console))
    except (Problem, Unreadable, OSError, KafkaError) as fault:
        print(fault, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report.show(console, found)
    console.print(f"all of it: {options.output}/summary.json; rows not filed: {options.output}/rejects.jsonl")
    return 0 if found["equal"] else 1


async def _replay(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    chosen = FORMATS[options.format]
    now = datetime.now(UTC)
    known = district.load(options.district)
    read = list(islice(chosen.read(options.file, known, now), options.limit))
    reports = sorted((item for item in read if isinstance(item, Report)), key=lambda item: item.reported_at)
    run = f"{options.format}:{uuid7(now)[:18]}"
    console.print(f"{options.file.name}: {len(read)} rows, {len(reports)} to be filed as {run}:<id>. {chosen.places}")
    async with SwiftCity(options.data) as city:
        await _ready(city)
        people = People(city, known)
        auditor = people.auditor()
        feed = Feed(city.broker, os.environ.get("CASEGRID_TOPIC_PREFIX", ""))
        stuck = None
        try:
            await feed.start()
            with report.bar(console, len(reports)) as told:
                play = Play(run, people, known, options.workers, options.in_flight, options.patience, told)
                try:
                    await play.run_all(reports, feed)
                except* (Stuck, KafkaError) as faults:
                    stuck = str(faults.exceptions[0])
        finally:
            await feed.stop()
        differences = await _compare(play, auditor, f"{run}:")
        parked = summary.first(await city.parked(play.cases))
    rejects = [item for item in read if isinstance(item, Reject)] + play.rejects
    found = report.of(play, len(read), reports, rejects, report.Findings(differences, parked, stuck))
    _write(options.output, found, rejects)
    return found


async def _ready(city: City) -> None:
    for name in SERVICES:
        try:
            async with asyncio.timeout(10):
                await city.call("GET", name, "/ready")
        except (TimeoutError, Refusal):
            raise Problem(f"{name} is not ready at {city.urls[name]}: make up, or make status") from None


async def _compare(play: Play, auditor: Person, prefix: str) -> list[str]:
    """The differences that remain when audit has had time to catch up."""
    ours = summary.counts(play.cases.values())
    deadline = time.monotonic() + _AUDIT_SECONDS
    while True:
        found = summary.differences(ours, await auditor.get("audit", "/summary", external_prefix=prefix))
        if not found or time.monotonic() > deadline:
            return found + await summary.case_by_case(play.cases, auditor, prefix)
        await asyncio.sleep(0.25)


def _write(folder: Path, found: dict[str, Any], rejects: list[Reject]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rejects.jsonl").open("w", encoding="utf-8") as file:
        for reject in rejects:
            file.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")
    (folder / "summary.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    data = Path(os.environ.get("CASEGRID_DATA", ".data"))
    parser = argparse.ArgumentParser(prog="deploy.replay", description=__doc__)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--format", choices=sorted(FORMATS), required=True)
    parser.add_argument("--limit", type=int, default=None, help="only the first rows")
    parser.add_argument("--output", type=Path, default=data / "replay", help="folder of summary.json, rejects.jsonl")
    parser.add_argument("--workers", type=int, default=16, help="requests at a time")
    parser.add_argument("--in-flight", type=int, default=256, help="reports filed and not closed at a time")
    parser.add_argument("--patience", type=float, default=60, help="seconds without any event until it gives up")
    parser.add_argument("--data", type=Path, default=data, help="the stack's folder")
    parser.add_argument(
        "--district", type=Path, default=Path(os.environ.get("CASEGRID_DISTRICT", data / "district" / "full"))
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m deploy.replay --file FILE --format nyc311|messages`: replays a file of real reports through the stack.

Exit status 0: every case was closed, nothing of it is parked, and audit's account is the one seen here; 1: not so, and
what differs is named; 2: the file or the stack could not be used. With --dry-run the file is read and nothing filed;
0: every row could be, 1: some could not.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console

from chassis.ids import uuid7
from chassis.reference import BadReference
from deploy.replay import district, messages, nyc311, report, summary
from deploy.replay.client import SwiftCity
from deploy.replay.district import District
from deploy.replay.encoding import declared
from deploy.replay.feed import Feed
from deploy.replay.people import People
from deploy.replay.play import Play, Stuck
from deploy.replay.reading import How, Reading
from deploy.replay.rows import Reject, Report, Unreadable
from deploy.simulation.city import City, Person, Refusal
from deploy.stack.plan import SERVICES
from deploy.stack.problem import Problem

_AUDIT_SECONDS = 60
"""How long audit may take to have everything."""


@dataclass(frozen=True)
class Format:
    """How a file is read, and what is to be said about its places."""

    read: Callable[[Path, District, datetime, How], Reading]
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
        known = district.load(options.district)
        reading = FORMATS[options.format].read(
            options.file, known, datetime.now(UTC), How(options.encoding, options.limit)
        )
        rejects = [item for item in reading if isinstance(item, Reject)]
        _write(options.output / "rejects.jsonl", rejects)
        report.show_reading(console, options.file.name, reading, FORMATS[options.format].places)
        if options.dry_run or len(rejects) == len(reading.items):
            return _unfiled(console, options, rejects)
        found = uvloop.run(_replay(options, console, reading, known))
    except (Problem, Unreadable, BadReference, OSError, KafkaError) as fault:
        print(fault, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report.show(console, found)
    report.say(console, f"all of it: {options.output}/summary.json; rows not filed: {options.output}/rejects.jsonl")
    return 0 if found["equal"] else 1


def _unfiled(console: Console, options: argparse.Namespace, rejects: Sequence[Reject]) -> int:
    """The end where nothing is filed, because it was not to be or nothing can be; the exit status."""
    report.show_rejects(console, summary.rejected_by_field(rejects))
    if rejects:
        report.say(console, f"all of them: {options.output}/rejects.jsonl")
    if not options.dry_run:
        raise Problem(f"{options.file}: no row can be filed")
    return 1 if rejects else 0


async def _replay(options: argparse.Namespace, console: Console, reading: Reading, known: District) -> dict[str, Any]:
    reports = sorted((item for item in reading if isinstance(item, Report)), key=lambda item: item.reported_at)
    run = f"{options.format}:{uuid7(datetime.now(UTC))[:18]}"
    report.say(console, f"{len(reports)} rows are filed as {run}:<id>")
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
    found = report.of(play, reading, report.Findings(differences, parked, stuck))
    _write(options.output / "rejects.jsonl", [*(item for item in reading if isinstance(item, Reject)), *play.rejects])
    (options.output / "summary.json").write_text(
        json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
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


def _write(file: Path, rejects: Sequence[Reject]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for reject in rejects:
            lines.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")


def _parser() -> argparse.ArgumentParser:
    data = Path(os.environ.get("CASEGRID_DATA", ".data"))
    parser = argparse.ArgumentParser(prog="deploy.replay", description=__doc__)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--format", choices=sorted(FORMATS), required=True)
    parser.add_argument("--encoding", type=_encoding, default=None, help="of the file; default: as its bytes show")
    parser.add_argument("--limit", type=_count, default=None, help="only the first rows")
    parser.add_argument("--dry-run", action="store_true", help="read the file and say what is rejected; file nothing")
    parser.add_argument("--output", type=Path, default=data / "replay", help="folder of summary.json, rejects.jsonl")
    parser.add_argument("--workers", type=int, default=16, help="requests at a time")
    parser.add_argument("--in-flight", type=int, default=256, help="reports filed and not closed at a time")
    parser.add_argument("--patience", type=float, default=60, help="seconds without any event until it gives up")
    parser.add_argument("--data", type=Path, default=data, help="the stack's folder")
    parser.add_argument(
        "--district", type=Path, default=Path(os.environ.get("CASEGRID_DISTRICT", data / "district" / "full"))
    )
    return parser


def _encoding(name: str) -> str:
    try:
        return declared(name)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

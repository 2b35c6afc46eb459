"""`python -m services.<name>` runs the service; `... rebuild` rebuilds what is derived from its stored events, and
`... skip` has its worker step over the record that a partition stands at.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

from chassis.retry import NotNow, in_words
from chassis.runtime import main as run
from chassis.service import Service
from chassis.settings import Settings
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.store.derived import LEFT_ASIDE, Rebuilt, rebuild
from chassis.store.migrations import MigrationError
from chassis.store.taken import Ledger
from chassis.worker import derived_of
from contracts.fields import coordinates
from contracts.wire import Unreadable

_TELL_SECONDS = 2.0
_SKIP_SECONDS = 60.0
"""How long a worker is waited for: one whose batch fails looks every few seconds, one that the broker gives nothing
after half a minute.
"""
_LOOK_SECONDS = 0.5


def main(build: Callable[[Settings], Service]) -> None:
    """Does what the command line asks. Exit status 1 where it could not, `LEFT_ASIDE` where it left some."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("rebuild", help="rebuild views and streams from the stored events; writers wait meanwhile")
    skip = commands.add_parser("skip", help="step over the record that a partition stands at")
    skip.add_argument("topic", help="without the deployment's prefix")
    skip.add_argument("partition", type=int)
    skip.add_argument("offset", type=int, help="what the partition stands at, as /ready names it")
    skip.add_argument("--reason", required=True, help="why, for the audit")
    skip.add_argument("--by", required=True, help="who wants it")
    options = parser.parse_args()
    settings = Settings()
    service = build(settings)
    if options.command is None:
        run(service)
        return
    if options.command == "skip":
        try:
            print(f"{service.name}: {asyncio.run(_skip(service, settings, options))}")
        except TRANSIENT_ERRORS as fault:
            raise SystemExit(f"{service.name} has stepped over nothing: {in_words(fault)}") from None
        return
    try:
        tables, broken = asyncio.run(_rebuild(service, settings))
    except (*TRANSIENT_ERRORS, MigrationError, Unreadable) as fault:
        raise SystemExit(f"{service.name} could not be rebuilt: {in_words(fault)}") from None
    for table in tables:
        words = "equal" if table.equal else f"differs: it was {table.before.digest}, {table.before.rows} rows"
        print(f"{service.name}.{table.table}: {table.after.rows} rows, checksum {table.after.digest}, {words}")
    if broken:
        print(f"{service.name} has no rows of {len(broken)} cases, which meet a defect: see above", file=sys.stderr)
        raise SystemExit(LEFT_ASIDE)


def _database(service: Service, settings: Settings) -> Database:
    return Database(
        settings.database_url,
        service.name,
        size=2,
        migrations=service.migrations,
        statement_seconds=None,
        password_file=settings.database_password_file,
    )


async def _skip(service: Service, settings: Settings, options: argparse.Namespace) -> str:
    """Asks for it, and waits until a worker has done it. Raises `NotNow` where none has, and takes the wish back."""
    database = _database(service, settings)
    await database.open()
    try:
        ledger, place = Ledger(database), (options.topic, options.partition)
        asked_at = await ledger.ask(*place, options.offset, options.by, options.reason)
        until = time.monotonic() + _SKIP_SECONDS
        while (outcome := await ledger.outcome(*place, options.offset, asked_at)) is None:
            if time.monotonic() > until:
                await ledger.withdraw(*place, options.offset, asked_at)
                taken = (await ledger.read()).get(place)
                words = "no worker ever read it" if taken is None else f"it has taken effect up to offset {taken.next}"
                raise NotNow(f"no worker stands at {coordinates(*place, options.offset)}: {words}")
            await asyncio.sleep(_LOOK_SECONDS)
        return f"stepped over {coordinates(*place, options.offset)}: {outcome.found}"
    finally:
        await database.close()


async def _rebuild(service: Service, settings: Settings) -> Rebuilt:
    database = _database(service, settings)
    await database.open(rebuilt=False)
    try:
        return await rebuild(derived_of(service.model), database, _Told(service.name))
    finally:
        await database.close()


class _Told:
    """Says on stderr how far a rebuild is: when it begins, every two seconds, and at the end."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _TELL_SECONDS or done == total:
            self._last = now
            print(f"rebuild {self._service}: {done:,} of {total:,} cases", file=sys.stderr)

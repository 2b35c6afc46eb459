"""`python -m services.<name>` runs the service; `... rebuild` rebuilds what is derived from its stored events."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

from chassis.retry import in_words
from chassis.runtime import main as run
from chassis.service import Service
from chassis.settings import Settings
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.store.derived import LEFT_ASIDE, Rebuilt, rebuild
from chassis.store.migrations import MigrationError
from chassis.worker import derived_of
from contracts.wire import Unreadable

_TELL_SECONDS = 2.0


def main(build: Callable[[Settings], Service]) -> None:
    """Does what the command line asks. Exit status 1 where it could not, `LEFT_ASIDE` where it left some."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("rebuild", help="rebuild views and streams from the stored events; writers wait meanwhile")
    options = parser.parse_args()
    settings = Settings()
    service = build(settings)
    if options.command is None:
        run(service)
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


async def _rebuild(service: Service, settings: Settings) -> Rebuilt:
    database = Database(
        settings.database_url,
        service.name,
        size=2,
        migrations=service.migrations,
        statement_seconds=None,
        password_file=settings.database_password_file,
    )
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

"""`python -m services.<name>` runs the service; `... rebuild` rebuilds what is derived from its stored events."""

import argparse
import asyncio
import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chassis.retry import in_words
from chassis.runtime import main as run
from chassis.service import Service
from chassis.settings import Settings
from chassis.store.checksums import TableRebuilt
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.store.derived import rebuild
from chassis.store.migrations import MigrationError
from chassis.worker import derived_of


def main(build: Callable[[Settings], Service]) -> None:
    """Does what the command line asks. Exit status 1 where it could not."""
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
        tables = asyncio.run(_rebuild(service, settings))
    except (*TRANSIENT_ERRORS, MigrationError) as fault:
        raise SystemExit(f"{service.name} could not be rebuilt: {in_words(fault)}") from None
    for table in tables:
        words = "equal" if table.equal else f"differs: it was {table.before.digest}, {table.before.rows} rows"
        print(f"{service.name}.{table.table}: {table.after.rows} rows, checksum {table.after.digest}, {words}")


async def _rebuild(service: Service, settings: Settings) -> list[TableRebuilt]:
    database = Database(
        settings.database_url, service.name, size=2, migrations=service.migrations, statement_seconds=None
    )
    await database.open(rebuilt=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(file=sys.stderr)) as bar:
            task = bar.add_task(f"rebuild {service.name}", total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            return await rebuild(derived_of(service.model), database, progress)
    finally:
        await database.close()

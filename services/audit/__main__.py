"""Runs the service; `python -m services.audit rebuild` makes the table of cases anew from the log instead."""

import asyncio
import sys

from chassis.database import Database
from chassis.runtime import main
from chassis.settings import Settings
from services.audit.log import rebuild
from services.audit.service import build


async def _rebuild(settings: Settings) -> int:
    database = Database(settings.database_url, "audit", size=settings.pool)
    await database.open()
    try:
        return await rebuild(database)
    finally:
        await database.close()


if sys.argv[1:] == ["rebuild"]:
    print(f"{asyncio.run(_rebuild(Settings()))} cases made anew from the log")
elif sys.argv[1:]:
    raise SystemExit("python -m services.audit [rebuild]")
else:
    main(build(Settings()))

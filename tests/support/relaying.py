"""`python -m tests.support.relaying <broker> <prefix> <database>`: runs the toy service's relay."""

import asyncio
import sys

from chassis.kafka.connection import Connection
from chassis.kafka.relay import Relay
from chassis.store.database import Database
from chassis.store.migrations import EVERY, STORE, read


async def main() -> None:
    """Publishes until it is killed."""
    broker, prefix, url = sys.argv[1:]
    known = (*read("every", EVERY), *read("store", STORE))
    database = Database(url, "tally", size=2, migrations=known)
    await database.open()
    await Relay(broker=Connection(broker), name="tally", prefix=prefix, database=database).run()


if __name__ == "__main__":
    asyncio.run(main())

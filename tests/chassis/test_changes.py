"""Live views hear which cases changed; one that reads too slowly is told to read everything, and no other is."""

import asyncio
from contextlib import AsyncExitStack

from chassis.store.changes import EVERYTHING, Changes
from chassis.store.database import Database

_NOTIFY = "SELECT pg_notify('tally_changed', 'case ' || n) FROM generate_series($1::int, $2::int) n"


async def test_a_listener_that_falls_behind_makes_no_other_read_everything(database: Database) -> None:
    changes = Changes(database)
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        slow = await stack.enter_async_context(changes.listen())
        others = [await stack.enter_async_context(changes.listen()) for _ in range(20)]
        task = asyncio.create_task(changes.run())
        stack.callback(task.cancel)
        assert [await queue.get() for queue in (slow, *others)] == [EVERYTHING] * 21
        await database.fetch(_NOTIFY, 1, slow.maxsize)
        for queue in others:
            heard = [await queue.get() for _ in range(slow.maxsize)]
            assert heard == [{f"case {n}"} for n in range(1, slow.maxsize + 1)]
        await database.fetch(_NOTIFY, 0, 0)
        assert [await queue.get() for queue in others] == [{"case 0"}] * 20
        assert slow.get_nowait() == EVERYTHING
        assert slow.empty()

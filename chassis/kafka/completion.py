"""Calls of aiokafka that a cancellation must not interrupt, or that must not end their caller."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

_SECONDS = 5.0


async def to_completion(call: Coroutine[Any, Any, T]) -> T:
    """The call's result. A caller that is cancelled meanwhile waits for the call to end, five seconds at most.

    For calls of aiokafka, which leaks the connection that it is opening when it is cancelled.
    """
    task = asyncio.create_task(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_retrieve)  # it may end much later
        await asyncio.wait([task], timeout=_SECONDS)
        raise


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Looks at its exception, or asyncio would log that nobody did."""
    if not task.cancelled():
        task.exception()


async def stopped(*stops: Coroutine[Any, Any, None], seconds: float) -> None:
    """Waits for the `stop` of clients, so many seconds at most; what goes wrong with them is logged.

    While the broker is away, aiokafka's `stop` may end as if it had been cancelled: whoever awaited it would end, too,
    silently. A caller that is cancelled meanwhile, however often, waits all the same, or the clients' connections would
    stay open.
    """
    stopping = [asyncio.ensure_future(stop) for stop in stops]
    until = time.monotonic() + seconds
    cancelled: asyncio.CancelledError | None = None
    while (left := until - time.monotonic()) > 0 and not all(one.done() for one in stopping):
        try:
            await asyncio.wait(stopping, timeout=left)
        except asyncio.CancelledError as again:
            cancelled = again
    for one in stopping:
        if one.cancel():
            log.warning("a client of the broker did not stop in %d seconds", seconds)
        elif not one.cancelled() and (fault := one.exception()) is not None:
            log.warning("a client of the broker did not stop cleanly: %r", fault)
    if cancelled is not None:
        raise cancelled

"""Calls of aiokafka that a cancellation must not interrupt, or that must not end their caller."""

import asyncio
import logging
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
        done, _ = await asyncio.wait([task], timeout=_SECONDS)
        for one in done:
            if not one.cancelled():
                one.exception()  # retrieved, or asyncio would log that nobody did
        raise


async def stopped(stop: Coroutine[Any, Any, None], seconds: int) -> None:
    """Waits for a client's `stop`, so many seconds at most; what goes wrong with it is logged.

    While the broker is away, aiokafka's `stop` may end as if it had been cancelled: whoever awaited it would end, too,
    silently. A caller that is cancelled meanwhile waits all the same, or the client's connections would stay open.
    """
    stopping = asyncio.ensure_future(stop)
    try:
        await asyncio.wait([stopping], timeout=seconds)
    except asyncio.CancelledError:
        await asyncio.wait([stopping], timeout=seconds)
        raise
    finally:
        unfinished = stopping.cancel()
    if unfinished:
        log.warning("a client of the broker did not stop in %d seconds", seconds)
    elif not stopping.cancelled() and (fault := stopping.exception()) is not None:
        log.warning("a client of the broker did not stop cleanly: %r", fault)

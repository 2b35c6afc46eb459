"""Calls that a cancellation must not interrupt."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

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

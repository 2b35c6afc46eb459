"""What a cancellation must not tear apart."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SECONDS = 5.0


async def whole(doing: Coroutine[Any, Any, T]) -> T:
    """The result. Who is cancelled while waiting for it lets it come to its end, for five seconds at most.

    For calls of aiokafka: one that is cancelled while it opens a connection leaves that open.
    """
    task = asyncio.create_task(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait([task], timeout=_SECONDS)
        for one in done:
            if not one.cancelled():
                one.exception()  # looked at: nobody waits for it any more
        raise

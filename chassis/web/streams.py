"""How many endless answers a caller may have open at one process: each holds a connection and asks the database."""

from collections import Counter
from collections.abc import AsyncIterator

from fastapi import Request as HttpRequest

from chassis.web.errors import TooMany
from chassis.web.requests import CallerDep

MOST = 20
"""The streams of one caller."""
_WAIT_SECONDS = 5.0


async def counted(request: HttpRequest, caller: CallerDep) -> AsyncIterator[None]:
    """The dependency of a route that streams: it counts the answer until it has ended. Raises `TooMany`."""
    opened: Counter[str] = request.app.state.streams
    if opened[caller.subject] >= MOST:
        words = f"{caller.subject} has {MOST} streams open, the most that a caller may have"
        raise TooMany("stream.limit", words, _WAIT_SECONDS)
    opened[caller.subject] += 1
    try:
        yield
    finally:
        opened[caller.subject] -= 1
        if not opened[caller.subject]:
            del opened[caller.subject]

"""How many requests a process works on at once, and when those beyond that may ask again.

A request that waits inside the process takes memory and a connection, and makes all others later; with enough of them
nobody gets an answer in time. So what is more than the process can work on is turned away at once, before it costs
anything, with an instant to come back. These instants lie as far apart as requests have been answered lately: a crowd
that is sent away comes back one after the other.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chassis.web.errors import Crowded

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 60.0
"""Nobody is sent away for longer."""
_SLOWEST = 1.0
"""Answers a second that are reckoned with at least."""
_WINDOW_SECONDS = 2.0
"""Over which answers are counted."""
_TELL_SECONDS = 10.0


class Crowd:
    """At most `most` requests at once. Raises `Crowded` for each one more."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._inside = 0
        self._since = clock()
        self._answered = 0
        self._rate = _SLOWEST
        self._next = 0.0
        """When the next one who is turned away is to come back."""
        self._turned_away = 0
        self._told_at = -_TELL_SECONDS

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Around the work on a request."""
        if self._inside >= self._most:
            raise Crowded(self._turn_away())
        self._inside += 1
        place = Place(self._leave)
        try:
            yield place
        finally:
            place.give_up()

    def _leave(self) -> None:
        self._inside -= 1
        self._answered += 1
        now = self._clock()
        if (seconds := now - self._since) >= _WINDOW_SECONDS:
            self._rate = max(_SLOWEST, self._answered / seconds)
            self._since, self._answered = now, 0

    def _turn_away(self) -> float:
        now = self._clock()
        self._next = min(max(self._next, now + 1.0) + 1.0 / self._rate, now + _LONGEST_SECONDS)
        self._turned_away += 1
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            log.warning("more than %d requests at once: %d were turned away so far", self._most, self._turned_away)
        return self._next - now


class Place:
    """A request's place; given up once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def give_up(self) -> None:
        """Before the end, too: an endless answer takes none of the places while it waits for news."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

"""How many requests a process works on at once, and when those beyond that may ask again.

A request that waits inside the process takes memory and a connection, and makes all others later; with enough of them
nobody gets an answer in time. So what is more than the process can work on is refused before its route begins, with an
instant to ask again. These instants lie as far apart as slots have been getting free lately, so that those who were
refused come back one after the other.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chassis.web.errors import Overloaded

log = logging.getLogger(__name__)

_LEAST_SECONDS, _MOST_SECONDS = 1.0, 20.0
"""For which one is sent away."""
_FIRST_INTERVAL_SECONDS = 0.005
"""Between two slots that get free, until it is known."""
_WEIGHT = 0.05
"""Of the last interval, in the mean of them."""
_TELL_SECONDS = 10.0


class ConcurrencyLimit:
    """At most `most` requests at once. Raises `Overloaded` for each one more."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._inside = 0
        self._interval = _FIRST_INTERVAL_SECONDS
        self._freed_at: float | None = None
        """When the last slot got free while all were taken; None where one was free since."""
        self._ahead = 0.0
        """How many are to come back before the next one who is refused."""
        self._counted_at = clock()
        self._refused = 0
        self._told_at = -_TELL_SECONDS

    @contextmanager
    def slot(self) -> Iterator["Slot"]:
        """Around the work on a request."""
        if self._inside >= self._most:
            raise Overloaded(self._refuse())
        self._inside += 1
        slot = Slot(self._free)
        try:
            yield slot
        finally:
            slot.give_up()

    def _free(self) -> None:
        if self._inside < self._most:
            self._freed_at = None  # whoever comes gets in: the next interval says when they come, not when work ends
        else:
            now = self._clock()
            if self._freed_at is not None:
                self._interval += (now - self._freed_at - self._interval) * _WEIGHT
            self._freed_at = now
        self._inside -= 1

    def _refuse(self) -> float:
        now = self._clock()
        self._ahead = max(0.0, self._ahead - (now - self._counted_at) / self._interval)
        self._counted_at = now
        wait = _LEAST_SECONDS + self._ahead * self._interval
        if wait > _MOST_SECONDS:  # they are too many to be told apart
            wait = random.uniform(_MOST_SECONDS / 2, _MOST_SECONDS)
        else:
            self._ahead += 1
        self._refused += 1
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            log.warning("%d requests are being worked on, the most at once: %d were refused", self._most, self._refused)
        return wait


class Slot:
    """Of a request; given up once."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free

    def give_up(self) -> None:
        """Before the end, too: a stream that has begun waits for news and does no work."""
        free, self._free = self._free, None
        if free is not None:
            free()

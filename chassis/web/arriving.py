"""How much memory the bodies take that are still coming in, in all and of one caller.

A body that has come with its request is worked on at once, and chassis.web.concurrency bounds how many are. One that
comes slowly may take twenty seconds, and a caller may send thousands of them.
"""

from collections import Counter

from chassis.web.errors import Overloaded

MOST_BYTES = 64 * 1024 * 1024
"""Of all bodies that are coming in."""
CALLER_BYTES = MOST_BYTES // 4
"""Of those of one caller."""
LEAST_BYTES = 16 * 1024
"""What each of them counts at least: it holds a connection and a task, however few bytes have come."""
_WAIT_SECONDS = 5.0


class Arriving:
    """The bodies that are coming in."""

    def __init__(self) -> None:
        self._bytes = 0
        self._of = Counter[str]()
        self._refused = 0

    def health(self) -> dict[str, int]:
        """How many bytes count now, how many may, and how many bodies this process has refused for it."""
        return {"bytes": self._bytes, "most": MOST_BYTES, "refused": self._refused}

    def take(self, who: str, size: int) -> None:
        """Counts bytes of a body. Raises `Overloaded` where they are too many; `give_back` must follow otherwise."""
        if self._bytes + size > MOST_BYTES or self._of[who] + size > CALLER_BYTES:
            self._refused += 1
            raise Overloaded(
                _WAIT_SECONDS, "bodies.at_once", "as many bytes are coming in as may at once; ask again later"
            )
        self._bytes += size
        self._of[who] += size

    def give_back(self, who: str, size: int) -> None:
        """The body is there, or does not come."""
        self._bytes -= size
        self._of[who] -= size
        if not self._of[who]:
            del self._of[who]

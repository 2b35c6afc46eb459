"""Waiting between tries, loops that start again after a transient error, and batches of which one item fails."""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 0.05, 5.0

LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""Errors of a machine that lacks descriptors, memory or ports: they say nothing of the other side."""

Transient = tuple[type[Exception], ...]


class NotNow(ConnectionError):
    """The same work may succeed later. The message is ours, and for everybody: no address, path or SQL stands in it."""


class Backoff:
    """Waits 50 ms before the first retry, twice as long before each further one, five seconds at most."""

    def __init__(self) -> None:
        self._attempt = 0

    def reset(self) -> None:
        """Says that the work has succeeded: the next wait is the shortest again."""
        self._attempt = 0

    async def wait(self) -> None:
        """Waits before the next try."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # On Python 3.11 `wait_for`, which the client libraries use, can turn a cancellation into a TimeoutError.
            raise asyncio.CancelledError
        await asyncio.sleep(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self._attempt, 10)))
        self._attempt += 1


async def keep_running(
    work: Callable[[Backoff], Awaitable[None]], transient: Transient, on_error: Callable[[Exception], None]
) -> NoReturn:
    """Runs `work` again and again until it is cancelled or raises something that is not transient.

    `work` resets the backoff once it works normally. `on_error` is told each transient error before the wait.
    """
    backoff = Backoff()
    while True:
        try:
            await work(backoff)
        except transient as error:
            on_error(error)
        await backoff.wait()


async def until_done(
    work: Callable[[], Awaitable[None]], transient: Transient, on_error: Callable[[Exception], None]
) -> None:
    """Runs `work` until it returns once; waits and tries again after each transient error."""
    backoff = Backoff()
    while True:
        try:
            await work()
        except transient as error:
            on_error(error)
        else:
            return
        await backoff.wait()


async def together_or_alone(
    items: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[None]],
    give_up: Callable[[T, Exception], Awaitable[None]],
    raised: tuple[type[Exception], ...],
) -> None:
    """Does the work on all items at once; if that fails, on each alone, and gives up those that fail again.

    Errors of the kinds `raised`, which doing it alone would not avoid, are raised at once.
    """
    try:
        await work(items)
    except raised:
        raise
    except Exception as fault:
        if len(items) == 1:
            await give_up(items[0], fault)
            return
        log.warning("a batch of %d failed, taking them one by one: %r", len(items), fault)
        for item in items:
            await together_or_alone([item], work, give_up, raised)


def in_words(error: BaseException) -> str:
    """An error for a person: its type and message; a timeout, which has no message, says that no answer came."""
    name = type(error).__name__
    message = str(error).removeprefix(name).removeprefix(": ")  # Kafka's errors say their type themselves
    return f"{name}: {message or ('no answer in time' if name.endswith('TimeoutError') else 'no message')}"


def in_short(error: BaseException) -> str:
    """An error for whoever asks over HTTP: one of ours as it is, of any other the type, because the words of a library
    may name a host, a file or a statement. Whoever shows it logs `in_words`.
    """
    if isinstance(error, NotNow):
        return str(error)
    name = type(error).__name__
    return f"{name}: no answer in time" if name.endswith("TimeoutError") else f"{name}; the log has the details"

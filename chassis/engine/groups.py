"""Group commit: what arrives while a transaction runs is executed together in the next one.

Nobody waits in order to be joined: the first one begins at once, and alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Member(Generic[T]):
    """A piece of work, as it waits or is executed. `context` is that of whoever submitted it."""

    work: T
    distinct: frozenset[Hashable]
    """What no two members of a group share."""
    alone: bool
    """Whether it is executed without others."""
    outcome: asyncio.Future[Any]
    context: Context = field(default_factory=copy_context)

    def ends_with(self, outcome: Any) -> None:
        """Gives its outcome, an exception to be raised or a result, to whoever still waits for it."""
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class Groups(Generic[T]):
    """Gives `execute` what waits, `most` pieces at once, one group after the other.

    `execute` ends every member with its outcome, and raises nothing.
    """

    def __init__(self, execute: Callable[[Sequence[Member[T]]], Awaitable[None]], most: int) -> None:
        self._execute = execute
        self._most = most
        self._waiting: list[Member[T]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, work: T, *distinct: Hashable, alone: bool = False) -> Any:
        """The outcome of `work`. Who is cancelled while it waits takes it back; once it is executed, that goes on."""
        member = Member(work, frozenset(distinct), alone, asyncio.get_running_loop().create_future())
        self._waiting.append(member)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), context=Context())
        try:
            return await member.outcome
        except asyncio.CancelledError:
            if member in self._waiting:
                self._waiting.remove(member)
            raise

    def end_waiting(self, outcome: Exception) -> None:
        """Ends all that waits, before it was executed."""
        waiting, self._waiting = self._waiting, []
        for member in waiting:
            member.ends_with(outcome)

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._execute(self._next())
        finally:
            self._running = None

    def _next(self) -> list[Member[T]]:
        group: list[Member[T]] = []
        taken: set[Hashable] = set()
        for member in self._waiting:
            if member.alone:
                group = group or [member]
                break
            if len(group) < self._most and not taken & member.distinct:
                group.append(member)
            taken |= member.distinct  # also of one that is left behind: what it shares goes in order
        chosen = set(map(id, group))
        self._waiting = [member for member in self._waiting if id(member) not in chosen]
        return group

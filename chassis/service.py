"""What a service is made of: topics in, decider, views, routes. A service's `service.py` fills one of these in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.decider import Decider
from chassis.views import View
from contracts.envelope import Event

if TYPE_CHECKING:
    from fastapi import APIRouter

    from chassis.database import Connection
    from chassis.runtime import Runtime

Route = tuple[str, str]
"""(method, path) as FastAPI knows it: `("POST", "/reports/{case_id}/withdrawal")`."""

Gather = Callable[["Connection", Sequence[Event[Any]]], Awaitable[Any]]
"""Reads, inside the transaction, what the decisions on these events may need beside the states."""


def _admit(_: Event[Any]) -> str | None:
    return None


@dataclass(frozen=True)
class Service:
    """A service, ready to be run by `chassis.runtime`.

    `admit` looks at an event of a partner's and gives the reason not to trust it, or None. `gather` gives
    `Inputs.gathered`; if what it gives has a method `learn(event)`, it is told of every event that takes effect later
    in the batch.
    """

    name: str
    topics: Sequence[str]
    decider: Decider[Any, Any]
    views: Sequence[View[Any]]
    router: "Callable[[Runtime], APIRouter]"
    roles: Mapping[Route, frozenset[str]]
    schema: Path
    admit: Callable[[Event[Any]], str | None] = _admit
    gather: Gather | None = None
    announces: bool = False
    """Whether `Runtime.changes` is to tell which cases changed, for live views."""
    processor: "Callable[[Runtime], Any] | None" = None
    """Replaces `chassis.inbox.Inbox` where a service stores records instead of deciding on them."""
    tasks: "Sequence[Callable[[Runtime], Awaitable[None]]]" = field(default=())
    """What else a worker runs, for as long as the process lives."""

    @property
    def source(self) -> str:
        """The CloudEvents `source` of what it publishes."""
        return f"/services/{self.name}"

"""What a service is made of: topics in, decider, views, routes. A service's `service.py` fills one of these in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.decider import Decider
from chassis.partners import Registry
from chassis.requests import Requests
from chassis.views import View

if TYPE_CHECKING:
    from fastapi import APIRouter

    from chassis.database import Connection
    from chassis.runtime import Runtime

Route = tuple[str, str]
"""(method, path) as FastAPI knows it: `("POST", "/reports/{case_id}/withdrawal")`."""

Gather = Callable[["Connection", Sequence[Any], Sequence[str]], Awaitable[Any]]
"""Reads, in the transaction, what the decisions on these events, or on these streams, may need beside the states."""


def _all(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Service:
    """A service, ready to be run by `chassis.runtime`.

    `topics` it reads; `from.*` and `to.*` stand for those of all partners. Of `parks` it parks what cannot be read or
    is forged; of the others it only counts that, for another service parks it. `sources` names the one source whose
    records it takes from a topic, told before they are parsed; `wants` tells the events it takes at all. `gather` gives
    `Inputs.gathered`; if what it gives has a method `learn(event)`, it is told of every event that takes effect later
    in the batch. `requests` says how it takes what partners ask.
    """

    name: str
    topics: Sequence[str]
    decider: Decider[Any, Any]
    views: Sequence[View[Any]]
    router: "Callable[[Runtime], APIRouter]"
    roles: Mapping[Route, frozenset[str]]
    schema: Path
    parks: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    wants: Callable[[Any], bool] = _all
    gather: Gather | None = None
    requests: Requests[Any] | None = None
    registry: Registry = field(default_factory=lambda: Registry(None))
    """Who is registered as a partner; the runtime puts the one of the settings' file here."""
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

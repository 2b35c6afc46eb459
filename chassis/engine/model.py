"""What the engine needs of a service: its name, topics, decider, views, and what it loads for decisions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chassis.engine.decider import Decider
from chassis.engine.partner_requests import PartnerRequests
from chassis.registry import Registry
from chassis.store.transaction import Transaction
from chassis.store.views import View
from contracts.homes import SENDS, service_source


class Context(Protocol):
    """What a service loaded for the decisions of a transaction, beside the states."""

    def learn(self, event: Any) -> None:
        """Is told every event that takes effect later in the same transaction."""
        ...


LoadContext = Callable[[Transaction, Sequence[Any], Sequence[str]], Awaitable["Context | None"]]
"""(transaction, events, stream ids) -> what the decisions on these events, or on these streams, need beside the states.
What it locks, it locks on the connection that `Transaction.begin` gives.
"""


def _all(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Model:
    """A service as the engine knows it: no routes, no process.

    `topics` it reads; `from.*` and `to.*` stand for those of all partners. It parks unreadable and forged records of
    the topics in `parks`; on other topics it only counts them, because another service parks them. `sources` names, per
    topic, the one source whose records it takes, mostly told before they are parsed; `wants` selects the events it
    takes.
    """

    name: str
    topics: Sequence[str]
    decider: Decider[Any, Any]
    views: Sequence[View[Any]]
    parks: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    wants: Callable[[Any], bool] = _all
    load_context: LoadContext | None = None
    partner_requests: PartnerRequests[Any] | None = None
    announces: bool = False
    """Whether changed cases are announced on `<name>_changed`, for live views."""
    registry: Registry = field(default_factory=lambda: Registry(None))
    """Who is registered as a partner; the process puts the registry of its settings here."""

    @property
    def source(self) -> str:
        """The CloudEvents `source` of what it publishes."""
        return service_source(self.name)

    @property
    def writes(self) -> tuple[str, ...]:
        """The topics that it publishes on; `to.*` stands for those of all partners."""
        return tuple(SENDS.get(self.name, ()))

"""What is decided with in one transaction: the streams, what the service gathered, who is registered, the instants."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from chassis.database import Connection
from chassis.decider import Inputs
from chassis.journal import Cache, Journal
from chassis.service import Service
from contracts.reference import Partners

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Deciding(Generic[S]):
    """The journal of a transaction, and what its decisions may know beside the states."""

    journal: Journal[S]
    gathered: Any
    partners: Partners

    def inputs(self, stream_id: str, **more: Any) -> Inputs:
        """For a decision on this stream: now, by nobody, unless `more` says otherwise."""
        now = self.journal.now
        given = Inputs(at=now, now=now, stream=stream_id, gathered=self.gathered, partners=self.partners)
        return replace(given, **more) if more else given


async def opened(
    service: Service,
    connection: Connection,
    now: datetime,
    streams: Collection[str],
    events: Sequence[Any] = (),
    cache: Cache[Any] | None = None,
) -> Deciding[Any]:
    """These streams, loaded in this transaction, and what the service gathers for them, or for these events of them."""
    journal = Journal(service.source, service.decider, service.views, now, service.announces, cache)
    await journal.open(connection, streams)
    gathered = await service.gather(connection, events, list(streams)) if service.gather else None
    return Deciding(journal, gathered, service.registry.partners)

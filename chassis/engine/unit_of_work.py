"""One transaction of decisions: the streams, what the service loaded for them, who is registered, the instants."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from chassis.engine.decider import Inputs
from chassis.engine.model import Context, Model
from chassis.store.journal import Journal
from chassis.store.streams import Cache
from chassis.store.transaction import Transaction
from contracts.reference import Partners
from contracts.states import altered

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class UnitOfWork(Generic[S]):
    """The journal of a transaction, and what its decisions may know beside the states."""

    journal: Journal[S]
    context: Context | None
    partners: Partners

    def inputs(self, stream_id: str, **more: Any) -> Inputs:
        """For a decision on this stream: now, without an actor, unless `more` says otherwise."""
        now = self.journal.now
        given = Inputs(at=now, now=now, stream=stream_id, context=self.context, partners=self.partners)
        return altered(given, **more) if more else given


async def begin(
    model: Model,
    transaction: Transaction,
    now: datetime,
    streams: Collection[str],
    events: Sequence[Any] = (),
    cache: Cache[Any] | None = None,
) -> UnitOfWork[Any]:
    """Loads these streams in this transaction, and the context for them or for these events of them."""
    journal = Journal(model.source, model.decider, model.views, now, model.announces, cache)
    await journal.open(transaction.connection, streams)
    context = await model.load_context(transaction, events, list(streams)) if model.load_context else None
    return UnitOfWork(journal, context, model.registry.partners)

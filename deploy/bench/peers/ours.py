"""The same work on our chassis: the smallest service that it can run, with all that every service of ours has.

`python -m deploy.bench.peers.ours` runs it as the five services are run (`chassis.runtime.main`, as a worker). A report
that intake published comes in, is stored in its case's stream by the journal, and one own event follows from it, which
the relay publishes. So a record in, one out, and what was taken in is stored, as in the peers. What it does beyond them
counts as its own cost: every record is validated by its contract, dropped if it came before, folded into its case under
an optimistic lock; the own event is stored for good, too; the tail reads it back, timers look for deadlines, the HTTP
server and its event loop stand ready. No view is kept, and the peers keep none.
"""

from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter

from chassis.engine.decider import Decider, Facts, Inputs
from chassis.engine.model import Model
from chassis.runtime import main
from chassis.service import Service
from chassis.store.migrations import EVERY, STORE, read
from chassis.web.application import Routes
from contracts.intake import NewReport
from contracts.progress import Verified
from contracts.reading import Knows
from deploy.bench.database import SCHEMA

NAME = SCHEMA
FROM, TO = "ReportFiled", "Progressed"
"""Topics, under a prefix."""
MIGRATIONS = (*read("every", EVERY), *read("store", STORE))


@dataclass(frozen=True)
class Named(Model):
    """A model that the contracts' table of publishers does not know."""

    @property
    def writes(self) -> tuple[str, ...]:
        """So that the tail reads it, as it reads the topics of the five services."""
        return (TO,)


@dataclass(frozen=True)
class Noted:
    """A case of which at most one report was seen."""

    title: str | None = None


def _evolve(state: Noted, event: Any) -> Noted:
    match event.data:
        case NewReport(title=title):
            return replace(state, title=title)
        case _:
            return state


def _react(event: Any, state: Noted, _: Inputs) -> Facts:
    match event.data:
        case NewReport(title=title) if state.title is None:
            return [Verified(note=title)]
        case _:
            return []


def _decide(_: None, __: Noted, ___: Inputs) -> Facts:
    return []


DECIDER: Decider[None, Noted] = Decider(Noted(), _evolve, _react, _decide)
SERVICE = Service(
    model=Named(NAME, topics=(FROM,), decider=DECIDER, views=(), parks=(FROM,)),
    routes=Routes(APIRouter(), {}, {}),
    migrations=MIGRATIONS,
    knows=Knows(frozenset(), "CH", categories=False, units=False, filers=False),
    has=None,
)

if __name__ == "__main__":
    main(SERVICE)

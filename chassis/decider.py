"""What a service's domain is to the runtime: an initial state and five pure functions.

    evolve   state, event -> state              folds any event, its own or another's; never refuses
    react    event, state, inputs -> facts      what follows from another's fact; `state` is the one before the event
    decide   command, state, inputs -> facts    what follows from a person's command; may raise `Refused`
    lapse    state, inputs -> facts             what follows from the time that has passed
    due      state -> instant or None           when `lapse` has something to say next

Time, identifiers and chance are inputs. Folding the same events gives the same state on any day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from contracts.envelope import Event
from contracts.fields import Fact

C = TypeVar("C")
S = TypeVar("S")


class Refused(Exception):
    """A rule forbids what was asked. `rule` is the rule's short name, the message says it in words."""

    def __init__(self, rule: str, words: str) -> None:
        super().__init__(words)
        self.rule = rule


class Unknown(Refused):
    """There is no such case, assignment or record; the message names it."""

    def __init__(self, words: str) -> None:
        super().__init__("unknown", words)


@dataclass(frozen=True, slots=True)
class Early:
    """The fact makes no sense yet: it is held, and tried again after every other fact of its stream."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """The fact is well-formed but cannot be: it is parked for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a decision may know beside the state: the instant, the case, and what the service gathered for the batch."""

    at: datetime
    """For a reaction and a lapse: now. For a command: when the thing happened, never after `now`."""
    now: datetime
    stream: str
    actor: str | None = None
    gathered: Any = None


Facts = Sequence[Fact]


@dataclass(frozen=True)
class Decider(Generic[C, S]):
    """The five functions of a service's domain. Annotate the variable (`d: Decider[C, S] = Decider(...)`)."""

    initial: S
    evolve: Callable[[S, Event[Any]], S]
    react: Callable[[Event[Any], S, Inputs], "Facts | Early | Unfit"]
    decide: Callable[[C, S, Inputs], Facts]
    lapse: Callable[[S, Inputs], Facts]
    due: Callable[[S], datetime | None]


def never(_: Any) -> None:
    """`due` of a service without clocks."""
    return


def nothing(_: Any, __: Inputs) -> Facts:
    """`lapse` of a service without clocks."""
    return ()

"""What a service's domain is to the engine: an initial state and pure functions.

    evolve         state, event -> state              folds any event, its own or another service's; never refuses
    react          event, state, inputs -> facts      what follows from another's fact; `state` is before the event
    decide         command, state, inputs -> facts    what follows from a person's command; may raise `Refused`
    counted        command, state, inputs -> instant  which instant counts for a command, whatever was claimed
    on_deadline    state, inputs -> facts             what follows from the time that has passed
    due            state -> instant or None           the next instant at which `on_deadline` has something to say
    propagates_to  event, state, inputs -> pairs      (event, case): whom an event reaches; `state` is after the event
    on_propagated  event, state, inputs -> facts      what another case's event means to this case

Time, identifiers and chance are inputs: folding the same events gives the same state on any day. The domain does not
name the cause of a fact; the table contracts.causes does, for all services.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from contracts.fields import Fact
from contracts.reference import NO_PARTNERS, Partners
from contracts.states import altered
from contracts.times import Counted

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


class NotYours(Refused):
    """The case or assignment is not one that the caller may act on; nothing else is told of it."""


def refusal(may: Callable[..., object], *asked: Any) -> Refused | None:
    """The rule by which `may` forbids what is asked; None if it allows it."""
    try:
        may(*asked)
    except Refused as refused:
        return refused
    return None


@dataclass(frozen=True, slots=True)
class Unfit:
    """The fact is well-formed but contradicts what is known: it is parked for a person, and holds nothing back."""

    reason: str


@dataclass(frozen=True)
class Inputs:
    """What a decision may know beside the state."""

    at: datetime
    """The instant that counts. For a reaction and a deadline: now. For a command: its arrival, or as `counted` says."""
    now: datetime
    stream: str
    actor: str | None = None
    context: Any = None
    """What the service's `load_context` read for this transaction."""
    partners: Partners = NO_PARTNERS
    """The partners that are registered now."""
    claimed: datetime | None = None
    """When it happened, in the words of whoever gives the command."""
    arrived: datetime | None = None
    """When the command to decide arrived, whichever instant counts."""
    believed: bool = True
    """Whether that claim may count at all in a retrospective case."""


Facts = Sequence[Fact]


def arrival(_: Any, __: Any, inputs: Inputs) -> Counted:
    """`counted` of a service whose commands claim no times."""
    return Counted(inputs.at)


def never(_: Any) -> None:
    """`due` of a service without deadlines."""
    return


def nothing(_: Any, __: Inputs) -> Facts:
    """`on_deadline` of a service without deadlines."""
    return ()


def nobody(_: Any, __: Any, ___: Inputs) -> Iterable[tuple[Any, str]]:
    """`propagates_to` of a service whose cases do not affect each other."""
    return ()


def ignore(_: Any, __: Any, ___: Inputs) -> Facts:
    """`on_propagated` of such a service."""
    return ()


@dataclass(frozen=True)
class Decider(Generic[C, S]):
    """The functions of a service's domain. Annotate the variable (`d: Decider[C, S] = Decider(...)`)."""

    initial: S
    evolve: Callable[[S, Any], S]
    react: Callable[[Any, S, Inputs], "Facts | Unfit"]
    decide: Callable[[C, S, Inputs], Facts]
    on_deadline: Callable[[S, Inputs], Facts] = nothing
    due: Callable[[S], datetime | None] = never
    counted: Callable[[C, S, Inputs], Counted] = arrival
    propagates_to: Callable[[Any, S, Inputs], Iterable[tuple[Any, str]]] = nobody
    on_propagated: Callable[[Any, S, Inputs], Facts] = ignore


def decided(decider: Decider[Any, Any], command: Any, state: Any, inputs: Inputs) -> tuple[Counted, Facts]:
    """The instant that counts for a command, and the facts that follow from it, marked with what was claimed.

    People's commands over HTTP and partners' requests are both decided here. Raises `Refused`.
    """
    counted = decider.counted(command, state, inputs)
    facts = decider.decide(command, state, altered(inputs, at=counted.at, arrived=inputs.at))
    claim = {"claimed_at": counted.claimed_at, "time_doubtful": counted.doubtful}
    if counted.claimed_at is None and not counted.doubtful:
        return counted, facts
    return counted, [
        fact.model_copy(update=claim) if "claimed_at" in type(fact).model_fields else fact for fact in facts
    ]

"""What a service's domain is to the runtime: an initial state and pure functions.

    evolve   state, event -> state              folds any event, its own or another's; never refuses
    react    event, state, inputs -> facts      what follows from another's fact; `state` is the one before the event
    decide   command, state, inputs -> facts    what follows from a person's command; may raise `Refused`
    counted  command, state, inputs -> instant  which instant counts for a command, whatever was claimed
    lapse    state, inputs -> facts             what follows from the time that has passed
    due      state -> instant or None           when `lapse` has something to say next
    heard    event, state, inputs -> pairs      which events which other cases are to hear of; `state` after the event
    hear     event, state, inputs -> facts      what another case's event means to this one

Time, identifiers and chance are inputs. Folding the same events gives the same state on any day. What a fact's cause is
the domain does not say: contracts.causes does, for all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from contracts.fields import Fact
from contracts.reference import NO_PARTNERS, Partners
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


@dataclass(frozen=True, slots=True)
class Unfit:
    """The fact is well-formed but cannot be: it is parked for a person, and holds nothing back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a decision may know beside the state: instants, the case, who is registered, what the service gathered."""

    at: datetime
    """The instant that counts. For a reaction and a lapse: now. For a command: its arrival, or as `counted` says."""
    now: datetime
    stream: str
    actor: str | None = None
    gathered: Any = None
    partners: Partners = NO_PARTNERS
    """Who is registered now."""
    claimed: datetime | None = None
    """When it happened, by the word of whoever gives the command."""
    believed: bool = True
    """Whether that word may count at all, in a case entered long after the fact."""


Facts = Sequence[Fact]


def arrival(_: Any, __: Any, inputs: Inputs) -> Counted:
    """`counted` of a service to which no times are claimed."""
    return Counted(inputs.at)


def never(_: Any) -> None:
    """`due` of a service without clocks."""
    return


def nothing(_: Any, __: Inputs) -> Facts:
    """`lapse` of a service without clocks."""
    return ()


def nobody(_: Any, __: Any, ___: Inputs) -> Iterable[tuple[Any, str]]:
    """`heard` of a service whose cases are strangers to each other."""
    return ()


def deaf(_: Any, __: Any, ___: Inputs) -> Facts:
    """`hear` of the same."""
    return ()


@dataclass(frozen=True)
class Decider(Generic[C, S]):
    """The functions of a service's domain. Annotate the variable (`d: Decider[C, S] = Decider(...)`)."""

    initial: S
    evolve: Callable[[S, Any], S]
    react: Callable[[Any, S, Inputs], "Facts | Unfit"]
    decide: Callable[[C, S, Inputs], Facts]
    lapse: Callable[[S, Inputs], Facts] = nothing
    due: Callable[[S], datetime | None] = never
    counted: Callable[[C, S, Inputs], Counted] = arrival
    heard: Callable[[Any, S, Inputs], Iterable[tuple[Any, str]]] = nobody
    hear: Callable[[Any, S, Inputs], Facts] = deaf


def decided(decider: Decider[Any, Any], command: Any, state: Any, inputs: Inputs) -> tuple[Counted, Facts]:
    """The instant that counts for a command, and the facts that follow from it, with what was claimed instead.

    The one way to a decision, for a person over HTTP and for a partner's system alike. Raises `Refused`.
    """
    counted = decider.counted(command, state, inputs)
    facts = decider.decide(command, state, replace(inputs, at=counted.at))
    claim = {"claimed_at": counted.claimed_at, "time_doubtful": counted.doubtful}
    if counted.claimed_at is None and not counted.doubtful:
        return counted, facts
    return counted, [
        fact.model_copy(update=claim) if "claimed_at" in type(fact).model_fields else fact for fact in facts
    ]

"""What follows from triage's rulings, feedback's verdicts, supplements, and from what happens in other cases.

A case that is merged into another says so there: how many have joined, and what its reporter adds. Whoever works on
the leader hears of it once, however often it is said, and whoever works on it later hears of it, too. What a case hears
goes no further: where the leader itself was merged, it notes it, and there is nobody left to tell.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from chassis.decider import Facts, Inputs, Unfit
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, outcome_of
from contracts.fields import LINE, Fact
from contracts.intake import Supplement
from contracts.progress import Joined, Supplemented
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn
from services.dispatch.domain.notices import Teller
from services.dispatch.domain.state import Case, Work, begun, resolved

_End = tuple[CaseOutcome, str | None]
"""How a case ends, and why."""


def react(event: Event[Any], case: Case, inputs: Inputs) -> Facts | Unfit:
    """The facts that follow from `event`; what only says again what is known has none."""
    teller = Teller(case, inputs.partners)
    match event.data:
        case Dispatched() as order:
            works = [work for name, work in begun(order, event.time).items() if name not in case.work]
            return [*_given_out(works, case, teller, inputs)]
        case Merged() | Rejected() | Withdrawn() as ruling:
            return [*_cancelled(case.open, outcome_of(ruling), teller, inputs)]
        case Upheld():
            return ()
        case Evaluated(verdict="closed", outcome=outcome, reason=reason) if outcome is not None:
            return [*_closed(case.open, (outcome, reason), teller, inputs)]
        case Evaluated():
            return ()
        case Supplement():
            return [*teller.supplement(case.open, event.data)]
        case _:
            return Unfit(f"type: dispatch does not read {event.type}")


def heard(event: Event[Any], case: Case, inputs: Inputs) -> Iterator[tuple[Any, str]]:
    """Of a merger, and of what is said in a merged case before or after, the leader is to hear."""
    match event.data:
        case Merged(into=into):
            yield event, into
            yield from ((one, into) for one in case.supplements)
        case Supplement() | Supplemented() if case.into is not None:
            yield event, case.into
        case _:
            return


def hear(event: Event[Any], case: Case, inputs: Inputs) -> Facts:
    """What a merged case's event means to its leader."""
    teller = Teller(case, inputs.partners)
    match event.data:
        case Merged(said=said) if event.subject not in case.joined:
            count = len(case.joined) + 1
            joined = Joined(case_id=event.subject, count=count, said=said)
            return [joined, *teller.joined(case.open, count, said)]
        case Supplement() | Supplemented() as said:
            added = _passed_on(event, said)
            if added.case_id == inputs.stream or _known(added, case):
                return ()
            return [added, *teller.supplement(case.open, added)]
        case _:
            return ()


def _passed_on(event: Event[Any], said: Supplement | Supplemented) -> Supplemented:
    first = (said.case_id, said.supplement_id) if isinstance(said, Supplemented) else (event.subject, event.id)
    return Supplemented(case_id=first[0], supplement_id=first[1], text=said.text, attachments=said.attachments)


def _known(added: Supplemented, case: Case) -> bool:
    own = (one.data for one in case.supplements)
    return any(isinstance(one, Supplemented) and one.supplement_id == added.supplement_id for one in own)


def _given_out(works: list[Work], case: Case, teller: Teller, inputs: Inputs) -> Iterator[Fact]:
    for work in works:
        yield from teller.newcomers(work)
    if case.closed and case.outcome is not None:
        yield from _closed(works, (case.outcome, case.why), teller, inputs)


def _closed(works: Iterable[Work], end: _End, teller: Teller, inputs: Inputs) -> Iterator[Fact]:
    yield from _cancelled(works, end, teller, inputs)
    yield from teller.closed(end[0])


def _cancelled(works: Iterable[Work], end: _End, teller: Teller, inputs: Inputs) -> Iterator[Fact]:
    """The same, whether the ruling or the verdict on it is the first to come."""
    outcome, reason = end
    words = f"the case is closed as {outcome}" + (f": {reason}" if reason else "")
    for work in works:
        yield from teller.fact(work, resolved(work, "cancelled", inputs.at, reason=words[:LINE]))

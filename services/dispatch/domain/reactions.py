"""What follows from triage's rulings, feedback's verdicts, supplements, and events of other cases.

A case that is merged into another reaches it with its title and with its supplements: they become steps of that case,
the leader, each once however often it arrives. Whoever works on the leader, now or later, is told. From a leader that
was itself merged, supplements go on to its own leader; the title does not.
"""

from collections.abc import Iterable, Iterator

from chassis.engine.decider import Facts, Inputs, Unfit
from contracts.envelope import AnyEvent
from contracts.feedback import CaseOutcome, Evaluated, outcome_of
from contracts.fields import LINE, Fact
from contracts.intake import Supplement
from contracts.progress import Joined, Supplemented
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn
from services.dispatch.domain.assignment import Assignment, resolved
from services.dispatch.domain.case import Case, new_assignments
from services.dispatch.domain.notices import Notices

_Ending = tuple[CaseOutcome, str | None]
"""How a case ends, and why."""


def react(event: AnyEvent, case: Case, inputs: Inputs) -> Facts | Unfit:
    """The facts that follow from another service's event; none if it says again what is known."""
    notices = Notices(case, inputs.partners)
    match event.data:
        case Dispatched() as ruling:
            new = new_assignments(case, ruling, event.time)
            return [*_assigned([*new.values()], case, notices, inputs)]
        case Merged() | Rejected() | Withdrawn() as ruling:
            return [*_cancelled(case.open_assignments, outcome_of(ruling), notices, inputs)]
        case Upheld():
            return ()
        case Evaluated(verdict="closed", outcome=str() as outcome, reason=reason):
            return [*_closed(case.open_assignments, (outcome, reason), notices, inputs)]
        case Evaluated():
            return ()
        case Supplement() as supplement:
            return [*notices.of_supplement(case.open_assignments, supplement)]
        case _:
            return Unfit(f"type: dispatch does not read {event.type}")


def propagates_to(event: AnyEvent, case: Case, inputs: Inputs) -> Iterator[tuple[AnyEvent, str]]:
    """A merger and the supplements before and after it reach the leader."""
    match event.data:
        case Merged(into=into):
            yield event, into
            yield from ((supplement, into) for supplement in case.supplements)
        case Supplement() | Supplemented() if case.merged_into is not None:
            yield event, case.merged_into
        case _:
            return


def on_propagated(event: AnyEvent, case: Case, inputs: Inputs) -> Facts:
    """What an event of a merged case means to its leader."""
    notices = Notices(case, inputs.partners)
    match event.data:
        case Merged(said=title) if event.subject not in case.joined:
            count = len(case.joined) + 1
            joined = Joined(case_id=event.subject, count=count, said=title)
            return [joined, *notices.of_merger(case.open_assignments, count, title)]
        case Supplement() as supplement:
            return _supplemented(_step(event.subject, event.id, supplement), case, notices, inputs)
        case Supplemented() as earlier:
            return _supplemented(_step(earlier.case_id, earlier.supplement_id, earlier), case, notices, inputs)
        case _:
            return ()


def _step(case_id: str, supplement_id: str, supplement: Supplement | Supplemented) -> Supplemented:
    return Supplemented(
        case_id=case_id, supplement_id=supplement_id, text=supplement.text, attachments=supplement.attachments
    )


def _supplemented(step: Supplemented, case: Case, notices: Notices, inputs: Inputs) -> Facts:
    known = {event.data.supplement_id for event in case.supplements if isinstance(event.data, Supplemented)}
    if step.case_id == inputs.stream or step.supplement_id in known:
        return ()
    return [step, *notices.of_supplement(case.open_assignments, step)]


def _assigned(assignments: list[Assignment], case: Case, notices: Notices, inputs: Inputs) -> Iterator[Fact]:
    for assignment in assignments:
        yield from notices.announce(assignment)
    if case.closed and case.outcome is not None:  # the verdict came before the plan
        yield from _closed(assignments, (case.outcome, case.verdict_reason), notices, inputs)


def _closed(assignments: Iterable[Assignment], ending: _Ending, notices: Notices, inputs: Inputs) -> Iterator[Fact]:
    yield from _cancelled(assignments, ending, notices, inputs)
    yield from notices.of_closure(ending[0])


def _cancelled(assignments: Iterable[Assignment], ending: _Ending, notices: Notices, inputs: Inputs) -> Iterator[Fact]:
    """In the same words, whether the ruling or the verdict on it comes first."""
    outcome, reason = ending
    words = f"the case is closed as {outcome}" + (f": {reason}" if reason else "")
    for assignment in assignments:
        yield from notices.with_notices(assignment, resolved(assignment, "cancelled", inputs.at, (), words[:LINE]))

"""What the partner that filed a report is told: each change of its ruling, and once its outcome.

A merged report is told the outcome of its leader, the case it was merged into, and nothing else of that case. A partner
that is registered no longer is told nothing.
"""

from typing import Any, assert_never

from chassis.engine.decider import Facts, Inputs
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.notice import OutcomeNotice, RulingNotice
from contracts.triage import Dispatched, Merged, Rejected, Ruling, Upheld, Withdrawn
from services.intake.domain.case import Case, supersedes
from services.intake.domain.merges import Merges, tells_outcome


def react(event: Event[Any], state: Case, inputs: Inputs) -> Facts:
    """The notices that follow from a ruling or a verdict."""
    partner = _registered_partner(state, inputs)
    if partner is None:
        return ()
    match event.data:
        case data if isinstance(data, Ruling):
            return _of_ruling(data, partner, event, state)
        case Evaluated(outcome=outcome, reason=reason) as verdict if outcome is not None and tells_outcome(verdict):
            return [] if state.outcome_told else [OutcomeNotice(to=partner, outcome=outcome, reason=reason)]
        case _:  # a verdict that is not the end
            return ()


def _of_ruling(ruling: Ruling, partner: str, event: Event[Any], state: Case) -> Facts:
    match ruling:
        case Upheld():
            told = True
        case Dispatched() | Merged() | Rejected() | Withdrawn():
            told = state.standing.ruling != ruling.ruling and supersedes(event, state)
        case _:
            assert_never(ruling)
    reason = ruling.reason if isinstance(ruling, Rejected | Withdrawn | Upheld) else None
    return [RulingNotice(to=partner, ruling=ruling.ruling, reason=reason)] if told else []


def propagates_to(event: Event[Any], state: Case, inputs: Inputs) -> list[tuple[Event[Any], str]]:
    """Verdicts, each with a partner's report that must be told its outcome because of this event."""
    merges: Merges = inputs.context
    match event.data:
        case Evaluated() as verdict if tells_outcome(verdict):
            return [(event, follower) for follower in merges.followers(event.subject)]
        case Merged(into=leader) if state.merged_into == leader:
            closing = merges.closing(leader)
            if closing is None:
                return []
            own = [event.subject] if state.partner is not None else []
            return [(closing, report) for report in (*own, *merges.followers(event.subject))]
        case _:
            return []


def on_propagated(event: Event[Any], state: Case, inputs: Inputs) -> Facts:
    """The notice that follows from the verdict on the report's leader."""
    partner = _registered_partner(state, inputs)
    if partner is None:
        return ()
    match event.data:
        case Evaluated(outcome=outcome) if outcome is not None and not state.outcome_told:
            return [OutcomeNotice(to=partner, outcome=outcome)]
        case _:
            return ()


def _registered_partner(state: Case, inputs: Inputs) -> str | None:
    """The partner that filed the report, if it is still registered."""
    return state.partner if state.partner in inputs.partners.registered else None

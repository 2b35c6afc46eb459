"""What the partner that filed a report is told of it: each change of its ruling, and once what became of it. Who is
registered no longer is told nothing.

A report that was merged hears of the case it became part of: how that was closed, and nothing else of it.
"""

from typing import Any

from chassis.decider import Facts, Inputs
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.notice import OutcomeNotice, RulingNotice
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn
from services.intake.domain.case import Case, is_news
from services.intake.domain.merges import Merges, ends


def react(event: Event[Any], state: Case, inputs: Inputs) -> Facts:
    """The notices that follow from a ruling or a verdict."""
    partner = state.partner
    if partner is None or partner not in inputs.partners.registered:
        return ()
    match event.data:
        case Dispatched() | Merged() | Rejected() | Withdrawn() as ruled:
            if state.standing.ruling == ruled.ruling or not is_news(event, state):
                return ()
            reason = ruled.reason if isinstance(ruled, Rejected | Withdrawn) else None
            return [RulingNotice(to=partner, ruling=ruled.ruling, reason=reason)]
        case Upheld(reason=reason):
            return [RulingNotice(to=partner, ruling="upheld", reason=reason)]
        case Evaluated(outcome=outcome, reason=reason) as verdict if outcome is not None and ends(verdict):
            return [] if state.outcome_told else [OutcomeNotice(to=partner, outcome=outcome, reason=reason)]
        case _:
            return ()


def heard(event: Event[Any], state: Case, inputs: Inputs) -> list[tuple[Event[Any], str]]:
    """The closings, and the partners' reports that are to hear of them because of this event."""
    match event.data:
        case Evaluated() as verdict if ends(verdict):
            merges: Merges = inputs.gathered
            return [(event, part) for part in merges.parts(event.subject)]
        case Merged(into=leader) if state.merged_into == leader:
            merges = inputs.gathered
            closing = merges.closing(leader)
            if closing is None:
                return []
            own = [event.subject] if state.partner is not None else []
            return [(closing, part) for part in (*own, *merges.parts(event.subject))]
        case _:
            return []


def hear(event: Event[Any], state: Case, inputs: Inputs) -> Facts:
    """What the end of another case means to this report, which is part of it."""
    partner = state.partner
    if partner is None or partner not in inputs.partners.registered:
        return ()
    match event.data:
        case Evaluated(outcome=outcome) if outcome is not None and not state.outcome_told:
            return [OutcomeNotice(to=partner, outcome=outcome)]
        case _:
            return ()

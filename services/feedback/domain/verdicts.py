"""The verdict that closes a case, with what was measured by then."""

from contracts.feedback import CaseOutcome, Evaluated
from services.feedback.domain.case import Case, lead, lead_done
from services.feedback.domain.formulas import scores


def closed(case: Case, outcome: CaseOutcome, *, reason: str | None = None, checked_by: str | None = None) -> Evaluated:
    """The verdict on a case as it stands."""
    answers, finished = lead(case), lead_done(case)
    return Evaluated(
        verdict="closed",
        outcome=outcome,
        reason=reason,
        checked_by=checked_by,
        due_at=answers.resolve_by if answers is not None else None,
        late_by_seconds=finished[0].late_by_seconds if finished is not None else None,
        reworks=case.reworks,
        scores=scores(case),
    )

"""evolve: the state of a case after one more event."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts import status
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import Supplement
from contracts.notice import (
    AcceptanceNotice,
    AssignmentNotice,
    CancellationNotice,
    ClosureNotice,
    RefusalNotice,
    SupplementNotice,
)
from contracts.progress import (
    Acknowledged,
    EnRoute,
    Escalated,
    EscalationFailed,
    Extended,
    ExtensionRefused,
    ExtensionRequested,
    HandedOn,
    Joined,
    NearlyDue,
    Noted,
    Offered,
    OnScene,
    Overdue,
    Supervised,
    Supplemented,
    Urged,
)
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from services.dispatch.domain.state import Case, End, Handed, Request, Supervision, Told, Work, begun, together


def evolve(case: Case, event: Any) -> Case:
    """Folds an event of any source; what it does not know of, it leaves alone."""
    standing = status.evolve(case.standing, event)
    if standing is not case.standing:
        case = replace(case, standing=standing)
    match event.data:
        case Dispatched() as order:
            fresh = {name: work for name, work in begun(order, event.time).items() if name not in case.work}
            return replace(case, order=order, work={**case.work, **fresh}, ruling=None, into=None)
        case Merged(into=into):
            return replace(case, ruling="merged", into=into)
        case Rejected() | Withdrawn() as ruling:
            return replace(case, ruling=ruling.ruling, into=None)
        case Evaluated() as verdict:
            return replace(case, verdict=verdict.verdict, outcome=verdict.outcome, why=verdict.reason)
        case Supplement() | Supplemented():
            return replace(case, supplements=(*case.supplements, event))
        case Joined(case_id=other, said=said):
            return replace(case, joined={**case.joined, other: said})
        case Resolved() as end:
            return _changed(case, end.assignment_id, lambda work: _ended(work, end, event))
        case data if data.name == "Notice":
            return _told(case, event)
        case data if data.name == "Progressed":
            return _changed(case, getattr(data, "assignment_id", None), lambda work: _stepped(work, event))
        case _:
            return case


def _changed(case: Case, assignment_id: str | None, change: Callable[[Work], Work]) -> Case:
    work = case.work.get(assignment_id or "")
    if work is None or work.end is not None:
        return case
    return replace(case, work={**case.work, work.plan.id: change(work)})


def _ended(work: Work, end: Resolved, event: Event[Any]) -> Work:
    return replace(
        work,
        handled_by=end.handled_by,
        request=None,
        end=End(end.outcome, event.time, event.source, end.reason, end.late_by_seconds),
    )


def _stepped(work: Work, event: Event[Any]) -> Work:
    match event.data:
        case Acknowledged(unit=unit):
            return _acted(replace(work, holder=unit, acknowledged_at=event.time, unclaimed=False), event)
        case EnRoute():
            return _acted(replace(work, en_route_at=event.time), event)
        case OnScene():
            return _acted(replace(work, arrived_at=event.time), event)
        case Noted(unit=unit):
            return _acted(work, event) if unit is not None else work
        case ExtensionRequested(reason=reason):
            return _acted(replace(work, request=Request(event.actor, event.time, reason)), event)
        case Extended(due_at=due_at):
            return _extended(replace(work, resolve_by=due_at, extensions=work.extensions + 1, request=None))
        case ExtensionRefused():
            return replace(work, request=None)
        case Urged():
            return replace(work, urged_at=(*work.urged_at, event.time))
        case Supervised(level=level, reply_by=reply_by, reason=reason):
            return replace(work, supervision=Supervision(level, reply_by, reason))
        case Offered() as step:
            return offered(work, step)
        case HandedOn() as step:
            return handed_on(work, step, event.time)
        case NearlyDue():
            return replace(work, nearly_due=True)
        case Overdue():
            return replace(work, overdue=True)
        case Escalated(level=level):
            return replace(work, level=max(work.level, level))
        case EscalationFailed(because=because):
            return replace(work, **{"unclaimed" if because == "not_acknowledged" else "escalation_failed": True})
        case _:  # what was said of a request that had no effect
            return work


def _extended(work: Work) -> Work:
    """A new deadline has passages of its own."""
    return replace(work, nearly_due=False, overdue=False, level=0, escalation_failed=False)


def offered(work: Work, step: Offered) -> Work:
    """Offered on: to its own backups, or to one unit more."""
    work = replace(work, offers=work.offers + 1, acknowledge_by=step.due_at)
    if step.to:  # its own backups
        return work
    return _opened(work, step.unit)


def handed_on(work: Work, step: HandedOn, at: datetime) -> Work:
    """Handed on by its holder it is nobody's until it is acknowledged again; else one more may acknowledge it."""
    if work.holder is not None:
        work = replace(
            work,
            holder=None,
            candidates=(),
            acknowledged_at=None,
            en_route_at=None,
            request=None,
        )
    handed = Handed(step.unit, step.by, at, step.reason)
    work = replace(work, handed=handed, offers=0, unclaimed=False, acknowledge_by=step.due_at)
    return _opened(work, step.unit)


def _opened(work: Work, unit: str) -> Work:
    return replace(work, candidates=together(work.candidates, unit), reached=together(work.reached, unit))


def _acted(work: Work, event: Event[Any]) -> Work:
    return replace(work, handled_by=together(work.handled_by, event.actor))


def _told(case: Case, event: Event[Any]) -> Case:
    """Remembers a notice of dispatch's own."""
    notice = event.data
    known = case.told.get(notice.to, Told())
    known = replace(known, notices=known.notices.plus(event.id))
    match notice:
        case AssignmentNotice(assignment_id=name, unit=unit, to=partner):
            known = replace(known, involved=True)
            case = _changed(case, name, lambda work: replace(work, told={**work.told, unit: partner}))
        case CancellationNotice(assignment_id=name, to=partner):
            case = _changed(case, name, lambda work: replace(work, told=_without(work, partner)))
        case ClosureNotice():
            known = replace(known, closed=True)
        case AcceptanceNotice() | RefusalNotice():
            known = replace(known, answers=known.answers + 1)
        case SupplementNotice():
            known = replace(known, supplements=known.supplements + 1)
        case _:
            pass
    return replace(case, told={**case.told, notice.to: known})


def _without(work: Work, partner: str) -> dict[str, str]:
    return {unit: told for unit, told in work.told.items() if told != partner}

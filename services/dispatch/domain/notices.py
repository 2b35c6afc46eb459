"""Notices to partners: about the assignments that their units have or are offered, and about nothing else.

A partner is told of an assignment once, before anything that happens to it, by the first decision after it has become
responsible. So it does not matter when a partner is registered, and no notice is lost or doubled.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, assert_never

from contracts import notice, progress
from contracts.dispatch import Resolved
from contracts.feedback import CaseOutcome
from contracts.fields import Fact, Line
from contracts.intake import Supplement
from contracts.reference import Partners
from services.dispatch.domain.assignment import Assignment, AssignmentFact, after_hand_over, after_offer
from services.dispatch.domain.case import Case

_OF_RULING = (
    *("title", "text", "attachments", "place", "category", "condition", "closing"),
    *("priority", "round", "because", "retrospective"),
)
"""What a notice of an assignment copies from the ruling."""
_Supplement = Supplement | progress.Supplemented


class Notices:
    """The notices of one decision on a case. It remembers what it has told in this decision, and does not repeat it."""

    def __init__(self, case: Case, partners: Partners, requesting: str | None = None) -> None:
        """`requesting`: the partner whose request is decided. The answer tells it what its own request has ended."""
        self._case = case
        self._partners = partners
        self._requesting = requesting
        self._announced: dict[tuple[str, str], str] = {}
        """(assignment, unit) -> the partner that was told of it in this decision."""
        self._supplements_told: dict[str, int] = {}
        """Partner -> how many supplements it has been told, this decision included."""

    def announce(self, assignment: Assignment) -> Iterator[Fact]:
        """Tells the assignment to every partner that is responsible for it and was not told yet."""
        for unit in assignment.candidates_now:
            yield from self._announce(assignment, unit)

    def with_notices(self, assignment: Assignment, fact: AssignmentFact) -> Iterator[Fact]:
        """The fact, followed by its notices; `assignment` is the one before it."""
        yield fact
        match fact:
            case progress.Acknowledged(unit=unit):
                yield from self._cancel(assignment, "another unit has taken it on", except_unit=unit)
            case progress.Offered(unit=unit):
                yield from self._announce(after_offer(assignment, fact), unit)
            case progress.HandedOn(unit=unit):
                if assignment.holder is not None:
                    yield from self._cancel(assignment, "it was handed on to another unit", except_unit=unit)
                yield from self._announce(after_hand_over(assignment, fact, assignment.last_step_at), unit)
            case Resolved(outcome="cancelled", reason=reason):
                yield from self._cancel(assignment, reason or "cancelled")
            case Resolved(outcome=outcome):
                words = f"it has been entered as {outcome}"
                yield from self._cancel(assignment, words, except_partner=self._requesting)
            case progress.Urged(reason=reason, count=count):
                yield from self._tell(assignment, notice.UrgeNotice, reason=reason, count=count)
            case progress.Supervised(level=level, reason=reason, reply_by=by):
                yield from self._tell(assignment, notice.SupervisionNotice, level=level, reason=reason, reply_by=by)
            case progress.Extended(reason=reason, due_at=due_at):
                yield from self._tell(assignment, notice.ExtensionNotice, reason=reason, resolve_by=due_at)
            case progress.ExtensionRefused(reason=reason, due_at=due_at):
                yield from self._tell(assignment, notice.ExtensionRefusalNotice, reason=reason, resolve_by=due_at)
            case progress.EnRoute() | progress.OnScene() | progress.Noted() | progress.ExtensionRequested():
                pass  # the partner's own unit did it, or the remark is for those who watch
            case progress.NearlyDue() | progress.Overdue() | progress.Escalated() | progress.EscalationFailed():
                pass  # the partner knows the deadline
            case _:
                assert_never(fact)

    def of_merger(self, assignments: Iterable[Assignment], count: int, title: Line | None) -> Iterator[Fact]:
        """One more case was merged into this one; `count` have been by now."""
        for assignment in assignments:
            yield from self._tell(assignment, notice.ChangeNotice, joined=count, said=title)

    def of_supplement(self, assignments: Iterable[Assignment], supplement: _Supplement) -> Iterator[Fact]:
        """A new supplement to this case, or to a case that was merged into it."""
        for assignment in assignments:
            yield from self.announce(assignment)
            for partner in self._responsible(assignment):
                yield from self._supplement(partner, [*self._supplements, supplement])

    def of_closure(self, outcome: CaseOutcome) -> Iterator[Fact]:
        """The case is closed: for all partners that work or have worked in it, once."""
        involved = {partner for partner, record in self._case.partners.items() if record.involved}
        for partner in sorted(involved.union(self._announced.values())):
            if partner in self._partners.registered and not self._case.record_of(partner).closed:
                yield notice.ClosureNotice(to=partner, outcome=outcome)

    def _responsible(self, assignment: Assignment) -> list[str]:
        """The partners whose units have the assignment or are offered it."""
        found = (self._partners.by_unit.get(unit) for unit in assignment.candidates_now)
        return list(dict.fromkeys(partner.id for partner in found if partner is not None))

    def _tell(self, assignment: Assignment, kind: Callable[..., Fact], **content: Any) -> Iterator[Fact]:
        """A notice of that kind to all that have the assignment or are offered it."""
        yield from self.announce(assignment)
        for partner in self._responsible(assignment):
            yield kind(to=partner, assignment_id=assignment.plan.id, **content)

    def _announce(self, assignment: Assignment, unit: str) -> Iterator[Fact]:
        """The whole assignment with supervision, mergers and supplements, if the unit's partner was not told yet."""
        partner, name = self._partners.by_unit.get(unit), assignment.plan.id
        key = (name, unit)
        if partner is None or partner.id in (assignment.notified.get(unit), self._announced.get(key)):
            return
        self._announced[key] = partner.id
        yield _assignment(assignment, unit, partner.id)
        if (supervision := assignment.supervision) is not None:
            yield notice.SupervisionNotice(
                to=partner.id,
                assignment_id=name,
                level=supervision.level,
                reason=supervision.reason,
                reply_by=supervision.reply_by,
            )
        for count, title in enumerate(self._case.joined.values(), start=1):
            yield notice.ChangeNotice(to=partner.id, assignment_id=name, joined=count, said=title)
        yield from self._supplement(partner.id, self._supplements)

    @property
    def _supplements(self) -> list[_Supplement]:
        return [event.data for event in self._case.supplements]

    def _supplement(self, partner: str, supplements: list[_Supplement]) -> Iterator[Fact]:
        """Those of the supplements that the partner was not told yet: it is told all of them, in order."""
        told = self._supplements_told.get(partner, self._case.record_of(partner).supplements)
        self._supplements_told[partner] = max(told, len(supplements))
        for supplement in supplements[told:]:
            yield notice.SupplementNotice(to=partner, text=supplement.text, attachments=supplement.attachments)

    def _cancel(
        self, assignment: Assignment, reason: Line, *, except_unit: str = "", except_partner: str | None = None
    ) -> Iterator[Fact]:
        """Cancels the assignment for all that were told of it, except that unit's partner and that partner."""
        now = {partner for (name, _), partner in self._announced.items() if name == assignment.plan.id}
        keeper = self._partners.by_unit.get(except_unit)
        keeping = (keeper.id if keeper is not None else None, except_partner)
        for partner in sorted(now.union(assignment.notified.values())):
            if partner in self._partners.registered and partner not in keeping:
                yield notice.CancellationNotice(to=partner, assignment_id=assignment.plan.id, reason=reason)


def _assignment(assignment: Assignment, unit: str, to: str) -> Fact:
    ruling, plan, last = assignment.ruling, assignment.plan, assignment.hand_over
    copied: dict[str, Any] = {name: getattr(ruling, name) for name in _OF_RULING}
    return notice.AssignmentNotice(
        **copied,
        to=to,
        assignment_id=plan.id,
        unit=unit,
        lead=plan.lead,
        task=plan.task,
        reason=last.reason if last is not None and last.unit == unit else ruling.reason,
        stage=assignment.stage,
        offered=assignment.offered,
        acknowledge_by=assignment.acknowledge_by,
        resolve_by=assignment.resolve_by,
    )

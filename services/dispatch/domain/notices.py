"""What partners are told: of the assignments that their units have or are offered, and of nothing else.

A partner is told of an assignment once, before anything that happens to it: by whatever decision comes first after it
has become responsible. So it does not matter when a partner is registered, and no notice is lost or doubled.
"""

from collections.abc import Callable, Iterable, Iterator

from contracts.dispatch import Resolved
from contracts.feedback import CaseOutcome
from contracts.fields import Fact, Line
from contracts.intake import Supplement
from contracts.notice import (
    AssignmentNotice,
    CancellationNotice,
    ChangeNotice,
    ClosureNotice,
    ExtensionNotice,
    ExtensionRefusalNotice,
    SupervisionNotice,
    SupplementNotice,
    UrgeNotice,
)
from contracts.progress import (
    Acknowledged,
    Extended,
    ExtensionRefused,
    HandedOn,
    Offered,
    Supervised,
    Supplemented,
    Urged,
)
from contracts.reference import Partners
from services.dispatch.domain.folding import handed_on, offered
from services.dispatch.domain.state import Case, Told, Work


class Teller:
    """Works out the notices of one decision on a case; what it has told in it, it does not tell again."""

    def __init__(self, case: Case, partners: Partners, asks: str | None = None) -> None:
        """`asks`: the partner whose own request is decided on. Of what it does itself it hears the answer."""
        self._case = case
        self._asks = asks
        self._partners = partners
        self._introduced: dict[tuple[str, str], str] = {}
        """(assignment, unit) -> partner, of this decision."""
        self._heard: dict[str, int] = {}
        """Partner -> how many supplements it has heard, likewise."""

    def newcomers(self, work: Work) -> Iterator[Fact]:
        """The assignment, for every partner whose unit has it or is offered it, and that was not told yet."""
        for unit in work.within_reach:
            yield from self._introduce(work, unit)

    def fact(self, work: Work, fact: Fact) -> Iterator[Fact]:
        """The fact, and who is told what because of it; `work` is the assignment before it."""
        yield fact
        match fact:
            case Acknowledged(unit=unit):
                yield from self._cancel(work, "another unit has taken it on", keeps=unit)
            case Offered(unit=unit) as step:
                yield from self._introduce(offered(work, step), unit)
            case HandedOn(unit=unit) as step:
                if work.holder is not None:
                    yield from self._cancel(work, "it was handed on to another unit", keeps=unit)
                yield from self._introduce(handed_on(work, step, work.earliest), unit)
            case Resolved(outcome="cancelled", reason=reason):
                yield from self._cancel(work, reason or "cancelled")
            case Resolved(outcome=outcome):
                yield from self._cancel(work, f"it has been entered as {outcome}", but=self._asks)
            case _:
                if (notice := _of_step(fact)) is not None:
                    yield from self._about(work, notice)

    def joined(self, works: Iterable[Work], count: int, said: Line | None) -> Iterator[Fact]:
        """One more report of the same matter."""
        for work in works:
            yield from self._about(work, lambda to, name=work.plan.id: _change(to, name, count, said))

    def supplement(self, works: Iterable[Work], said: Supplement | Supplemented) -> Iterator[Fact]:
        """Somebody said more, here or in a case that was merged into this one."""
        for work in works:
            yield from self.newcomers(work)
            for partner in self._responsible(work):
                yield from self._hear(partner, [*self._said, said])

    def closed(self, outcome: CaseOutcome) -> Iterator[Fact]:
        """The case is closed, for all who work or worked in it."""
        told = {partner for partner, known in self._case.told.items() if known.involved and not known.closed}
        fresh = {partner for partner in self._introduced.values() if partner not in self._case.told}
        for partner in sorted(told | fresh):
            if partner in self._partners.registered:
                yield ClosureNotice(to=partner, outcome=outcome)

    def _responsible(self, work: Work) -> list[str]:
        """The partners whose units have the assignment or are offered it."""
        found = (self._partners.by_unit.get(unit) for unit in work.within_reach)
        return list(dict.fromkeys(partner.id for partner in found if partner is not None))

    def _about(self, work: Work, notice: Callable[[str], Fact]) -> Iterator[Fact]:
        yield from self.newcomers(work)
        for partner in self._responsible(work):
            yield notice(partner)

    def _introduce(self, work: Work, unit: str) -> Iterator[Fact]:
        """The assignment whole, with all that was said since, where the unit's partner was not told of it yet."""
        partner = self._partners.by_unit.get(unit)
        key = (work.plan.id, unit)
        if partner is None or partner.id in (work.told.get(unit), self._introduced.get(key)):
            return
        self._introduced[key] = partner.id
        yield _assignment(work, unit, partner.id)
        if (watched := work.supervision) is not None:
            yield SupervisionNotice(
                to=partner.id,
                assignment_id=work.plan.id,
                level=watched.level,
                reason=watched.reason,
                reply_by=watched.reply_by,
            )
        for count, said in enumerate(self._case.joined.values(), start=1):
            yield _change(partner.id, work.plan.id, count, said)
        yield from self._hear(partner.id, self._said)

    @property
    def _said(self) -> list[Supplement | Supplemented]:
        return [event.data for event in self._case.supplements]

    def _hear(self, partner: str, said: list[Supplement | Supplemented]) -> Iterator[Fact]:
        """What the partner has not heard yet of what was said: it is told all of it, in order."""
        known = self._heard.get(partner, self._case.told.get(partner, Told()).supplements)
        self._heard[partner] = max(known, len(said))
        for one in said[known:]:
            yield SupplementNotice(to=partner, text=one.text, attachments=one.attachments)

    def _cancel(self, work: Work, reason: Line, keeps: str | None = None, but: str | None = None) -> Iterator[Fact]:
        """It is nothing for them to do any more: for all that were told of it, but for the partner of the unit that
        keeps it, and but for that one.
        """
        fresh = {partner for (name, _), partner in self._introduced.items() if name == work.plan.id}
        keeper = self._partners.by_unit.get(keeps or "")
        for partner in sorted(fresh.union(work.told.values())):
            if partner in self._partners.registered and partner not in (keeper.id if keeper else None, but):
                yield CancellationNotice(to=partner, assignment_id=work.plan.id, reason=reason)


def _assignment(work: Work, unit: str, to: str) -> Fact:
    order, plan, handed = work.order, work.plan, work.handed
    return AssignmentNotice(
        to=to,
        assignment_id=plan.id,
        unit=unit,
        lead=plan.lead,
        task=plan.task,
        title=order.title,
        text=order.text,
        attachments=order.attachments,
        place=order.place,
        category=order.category,
        condition=order.condition,
        closing=order.closing,
        priority=order.priority,
        round=order.round,
        because=order.because,
        reason=handed.reason if handed is not None and handed.unit == unit else order.reason,
        stage=work.stage,
        offered=work.shared,
        acknowledge_by=work.acknowledge_by,
        resolve_by=work.resolve_by,
        retrospective=order.retrospective,
    )


def _change(to: str, assignment_id: str, count: int, said: Line | None) -> Fact:
    return ChangeNotice(to=to, assignment_id=assignment_id, joined=count, said=said)


def _of_step(fact: Fact) -> Callable[[str], Fact] | None:
    """Partner -> the notice of a step that whoever is responsible hears of."""
    match fact:
        case Urged(assignment_id=name, reason=reason, count=count):
            return lambda to: UrgeNotice(to=to, assignment_id=name, reason=reason, count=count)
        case Supervised(assignment_id=name) as step:
            return lambda to: SupervisionNotice(
                to=to, assignment_id=name, level=step.level, reason=step.reason, reply_by=step.reply_by
            )
        case Extended(assignment_id=name, reason=reason, due_at=due_at):
            return lambda to: ExtensionNotice(to=to, assignment_id=name, reason=reason, resolve_by=due_at)
        case ExtensionRefused(assignment_id=name, reason=reason, due_at=due_at):
            return lambda to: ExtensionRefusalNotice(to=to, assignment_id=name, reason=reason, resolve_by=due_at)
        case _:
            return None

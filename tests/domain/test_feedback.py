"""Feedback's rules: when work is done, who may check it, what the verdict says, and that no order of topics matters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decider import Decider, Inputs, Refused, Unfit, Unknown
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.progress import Progressed
from contracts.reference import Policy
from contracts.triage import Assignment, Check, CheckMethod, Dispatched, Explanation, Merged, Rejected, Withdrawn
from contracts.wire import HOMES, build, parse
from deploy.district import __main__ as district
from services.feedback.domain import Case, Command, FailCheck, ForceClose, PassCheck, Person, Rate, decider
from services.feedback.views import VIEWS

POLICY = Policy.model_validate_json((Path(district.__file__).parent / "policy.json").read_bytes())
FEEDBACK: Decider[Command, Case] = decider(POLICY)
NOW = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
AREA = "CH/shuangqiaozi/xinhong/g007"
WATER, STREET, FIRE, GRID = "dept:water", "street:CH/shuangqiaozi", "dept:fire", f"grid:{AREA}"
CHECKER = Person("member:g009-1", "grid:CH/shuangqiaozi/xinhong/g009")
CALLER = Person("evaluator:1", evaluator=True)
LEADER = Person("leader:1")
REPORTER = Person("reporter:1")


def name(round_: int, number: int) -> str:
    return f"{CASE}.{round_}.{number}"


def assignment(round_: int, number: int, unit: str, *, lead: bool = False, replaces: str | None = None) -> Assignment:
    return Assignment(
        id=name(round_, number),
        unit=unit,
        lead=lead,
        task="repair",
        acknowledge_by=NOW + timedelta(minutes=10),
        resolve_by=NOW + timedelta(hours=4),
        replaces=replaces,
    )


def plan(round_: int, *assignments: Assignment, method: CheckMethod = "photo", **more: Any) -> Dispatched:
    return Dispatched(
        round=round_,
        because=more.pop("because", "first" if round_ == 1 else "returned"),
        category="event.emergency.water-main-burst",
        condition="standard",
        priority=1,
        title="A burst water main",
        place=Place(area=AREA),
        area=AREA,
        filed_at=NOW,
        plan=assignments,
        check=Check(method=method, by="call_centre" if method == "call_back" else "grid", within_minutes=120),
        explanation=Explanation(rules=("category given",), catalogue="2026.1", policy="2026.1"),
        **more,
    )


def ended(assignment_id: str, unit: str, outcome: Outcome = "fixed", **more: Any) -> Resolved:
    reason = None if outcome == "fixed" else "not ours"
    return Resolved(assignment_id=assignment_id, unit=unit, outcome=outcome, **{"reason": reason, **more})


@dataclass
class Desk:
    """Runs one case as the runtime would, and keeps what was published."""

    state: Case = field(default_factory=lambda: FEEDBACK.initial)
    published: list[Fact] = field(default_factory=list)
    events: list[Event[Any]] = field(default_factory=list)
    now: datetime = NOW

    def take(self, *facts: Fact, at: datetime = NOW) -> list[Fact]:
        """Foreign facts, as of an instant; gives what followed from the last of them."""
        outcome: Sequence[Fact] = ()
        for fact in facts:
            event = self._event(fact, at, "clock")
            outcome = self._expect(FEEDBACK.react(event, self.state, self._inputs(self.now)))
            self._fold(event)
            self._publish(outcome, self.now, "clock")
        return list(outcome)

    def give(self, command: Command, at: datetime = NOW) -> list[Fact]:
        """A person's command."""
        facts = FEEDBACK.decide(command, self.state, self._inputs(at))
        self._publish(facts, at, command.by.subject)
        return list(facts)

    def lapse(self, at: datetime) -> list[Fact]:
        """Time passes."""
        facts = FEEDBACK.lapse(self.state, Inputs(at, at, CASE))
        self._publish(facts, at, "clock")
        return list(facts)

    def verdicts(self) -> list[Evaluated]:
        return [fact for fact in self.published if isinstance(fact, Evaluated)]

    def steps(self) -> list[str]:
        return [fact.step for fact in self.published if isinstance(fact, Progressed)]

    def _expect(self, outcome: Any) -> Sequence[Fact]:
        assert not isinstance(outcome, Unfit), outcome
        return outcome

    def _publish(self, facts: Sequence[Fact], at: datetime, actor: str) -> None:
        for fact in facts:
            self.published.append(fact)
            self._fold(self._event(fact, at, actor))

    def _fold(self, event: Event[Any]) -> None:
        self.events.append(event)
        self.state = FEEDBACK.evolve(self.state, event)

    def _inputs(self, at: datetime) -> Inputs:
        return Inputs(at=at, now=max(at, self.now), stream=CASE)

    def _event(self, fact: Fact, at: datetime, actor: str, source: str | None = None) -> Event[Any]:
        topic: str = fact.topic  # pyright: ignore[reportAttributeAccessIssue]
        number = len(self.events) + 1
        return build(
            event_id=f"019e0a9c-1f78-7c3e-8b1a-{number:012x}",
            source=source or HOMES.get(topic, "/services/feedback"),
            subject=CASE,
            time=at,
            recorded=at,
            sequence=number,
            data=fact,
            actor=actor,
        )[0]


LEAD = assignment(1, 1, WATER, lead=True)
SUPPORT = assignment(1, 2, STREET)


def checking(method: CheckMethod = "photo", **more: Any) -> Desk:
    """A case whose work is done and waits for its check; worker:1 of the water company did it."""
    desk = Desk()
    desk.take(plan(1, LEAD, method=method, **more), ended(LEAD.id, WATER, handled_by=("worker:1",)))
    assert desk.steps() == ["checking"]
    return desk


def closed(**more: Any) -> Desk:
    desk = checking(**more)
    desk.give(PassCheck(CHECKER))
    return desk


# When the work is done


def test_a_case_is_checked_once_every_assignment_has_ended() -> None:
    desk = Desk()
    assert desk.take(plan(1, LEAD, SUPPORT)) == []
    assert desk.take(ended(LEAD.id, WATER), at=NOW + timedelta(hours=1)) == []
    after = desk.take(ended(SUPPORT.id, STREET), at=NOW + timedelta(hours=2))
    assert after == [Progressed(step="checking", due_at=NOW + timedelta(hours=4))]


def test_the_check_is_due_after_the_last_end_whichever_came_last() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT))
    desk.take(ended(SUPPORT.id, STREET), at=NOW + timedelta(hours=2))
    after = desk.take(ended(LEAD.id, WATER), at=NOW + timedelta(hours=1))
    assert after == [Progressed(step="checking", due_at=NOW + timedelta(hours=4))]


@pytest.mark.parametrize("outcome", ["returned", "escalated"])
def test_what_came_back_must_be_taken_over_before_the_check(outcome: Outcome) -> None:
    desk = Desk()
    assert desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET, outcome)) == []
    assert desk.take(plan(2, assignment(2, 1, "district:CH", replaces=SUPPORT.id))) == []
    assert [type(fact) for fact in desk.take(ended(name(2, 1), "district:CH"))] == [Progressed]


def test_a_cancelled_support_is_not_waited_for_but_a_cancelled_lead_is_no_end() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(SUPPORT.id, STREET, "cancelled"), ended(LEAD.id, WATER))
    assert desk.steps() == ["checking"]
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(SUPPORT.id, STREET), ended(LEAD.id, WATER, "cancelled"))
    assert desk.steps() == []


def test_the_first_end_of_an_assignment_counts() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned"), ended(LEAD.id, WATER))
    assert desk.published == []


def test_an_end_in_another_units_name_does_not_count() -> None:
    desk = Desk()
    desk.take(ended(LEAD.id, FIRE), plan(1, LEAD))
    assert desk.published == []
    desk.take(ended(LEAD.id, WATER))
    assert desk.steps() == ["checking"]


def test_work_added_while_the_check_waits_makes_it_wait_for_that_work() -> None:
    desk = checking()
    desk.take(plan(2, assignment(2, 1, FIRE), because="manual"))
    with pytest.raises(Refused, match="not done"):
        desk.give(PassCheck(CHECKER))
    desk.take(ended(name(2, 1), FIRE))
    assert desk.steps() == ["checking", "checking"]


def test_a_plan_said_again_moves_no_deadline_and_the_newest_round_says_what_the_case_is() -> None:
    later = LEAD.model_copy(update={"resolve_by": NOW + timedelta(days=9)})
    corrected = plan(2, SUPPORT.model_copy(update={"id": name(2, 1)}), because="manual")
    corrected = corrected.model_copy(update={"category": "event.other.other"})
    desk = Desk()
    desk.take(plan(1, LEAD), corrected, plan(1, later))
    assert desk.state.filing is not None
    assert desk.state.filing.category == "event.other.other"
    desk.take(ended(LEAD.id, WATER), ended(name(2, 1), STREET))
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].due_at == LEAD.resolve_by


# Check by rule


def test_a_check_by_rule_closes_at_once() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"))
    verified, verdict = desk.take(ended(LEAD.id, WATER), at=NOW + timedelta(hours=5))
    assert isinstance(verified, Progressed)
    assert verified.step == "verified"
    assert isinstance(verdict, Evaluated)
    assert (verdict.verdict, verdict.outcome, verdict.checked_by) == ("closed", "fixed", "rule:done-in-order.v1")
    assert (verdict.due_at, verdict.late_by_seconds) == (NOW + timedelta(hours=4), 3600)


def test_where_something_was_cancelled_a_person_checks() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT, method="rule"), ended(SUPPORT.id, STREET, "cancelled"), ended(LEAD.id, WATER))
    assert desk.steps() == ["checking"]


def test_times_that_contradict_one_another_are_for_a_person_to_check() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"), ended(LEAD.id, WATER, arrived_at=NOW + timedelta(hours=1)))
    assert desk.steps() == ["checking"]
    assert desk.verdicts() == []
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].outcome == "fixed"


# Check by a person


def test_a_passed_check_closes_as_fixed() -> None:
    desk = checking()
    verified, verdict = desk.give(PassCheck(CHECKER, note="water is back"))
    assert verified == Progressed(step="verified", note="water is back")
    assert isinstance(verdict, Evaluated)
    assert (verdict.verdict, verdict.outcome, verdict.checked_by) == ("closed", "fixed", CHECKER.subject)


@pytest.mark.parametrize(
    "by",
    [
        Person("worker:1"),
        Person("worker:1", "grid:CH/shuangqiaozi/xinhong/g009"),
        Person("worker:2", WATER),
    ],
)
def test_whoever_handled_a_case_neither_checks_closes_nor_rates_it(by: Person) -> None:
    desk = checking()
    for command in (PassCheck(by), FailCheck(by, "no"), ForceClose(by, "no")):
        with pytest.raises(Refused, match="whoever handled") as refusal:
            desk.give(command)
        assert refusal.value.rule.endswith(".separation")
    desk.give(PassCheck(CHECKER))
    with pytest.raises(Refused, match="never rates"):
        desk.give(Rate(by, 5))


def test_who_handled_an_earlier_round_is_not_forgotten() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned", handled_by=("worker:1",)))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=LEAD.id)), ended(name(2, 1), FIRE))
    with pytest.raises(Refused, match="worker:1 handled"):
        desk.give(PassCheck(Person("worker:1")))


def test_a_unit_whose_people_acted_before_returning_the_case_does_not_check_it() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned", handled_by=("worker:1",)))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=LEAD.id)), ended(name(2, 1), FIRE))
    with pytest.raises(Refused, match=f"{WATER} handled"):
        desk.give(PassCheck(Person("worker:8", WATER)))


def test_a_unit_that_never_touched_its_assignment_may_check() -> None:
    desk = Desk()
    desk.take(plan(1, assignment(1, 1, GRID, lead=True)), ended(name(1, 1), GRID, "escalated"))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=name(1, 1))), ended(name(2, 1), FIRE))
    assert desk.give(PassCheck(Person("member:g007-1", GRID)))


def test_a_call_back_takes_an_evaluator() -> None:
    desk = checking("call_back")
    with pytest.raises(Refused) as refusal:
        desk.give(PassCheck(CHECKER))
    assert refusal.value.rule == "check.by"
    assert desk.give(PassCheck(CALLER))


def test_a_checker_stays_in_their_areas() -> None:
    desk = checking()
    with pytest.raises(Refused) as refusal:
        desk.give(PassCheck(Person("member:1", areas=("CH/shuangqiao", "CH/shengdeng"))))
    assert refusal.value.rule == "check.area"
    assert desk.give(PassCheck(Person("member:1", areas=("CH/shuangqiaozi",))))


def test_nothing_is_checked_before_its_time_nor_after_it() -> None:
    desk = Desk()
    with pytest.raises(Unknown):
        desk.give(PassCheck(CHECKER))
    desk.take(ended(LEAD.id, WATER))
    with pytest.raises(Unknown):
        desk.give(PassCheck(CHECKER))
    desk = closed()
    with pytest.raises(Refused) as refusal:
        desk.give(PassCheck(CHECKER))
    assert refusal.value.rule == "case.closed"


def test_a_failed_check_is_rework_of_the_lead_and_the_check_comes_again() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET))
    failed, verdict = desk.give(FailCheck(CHECKER, "still wet"))
    assert failed == Progressed(step="failed", reason="still wet")
    assert verdict == Evaluated(
        verdict="rework", reason="still wet", failed=(LEAD.id,), checked_by=CHECKER.subject, reworks=1
    )
    with pytest.raises(Refused, match="not done"):
        desk.give(PassCheck(CHECKER))
    again = assignment(2, 1, WATER, lead=True, replaces=LEAD.id)
    assert desk.take(plan(2, again, because="rework")) == []
    desk.take(ended(again.id, WATER))
    assert desk.steps() == ["checking", "failed", "checking"]
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].reworks == 1


def test_a_failed_check_may_name_a_support() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET))
    with pytest.raises(Refused) as refusal:
        desk.give(FailCheck(CHECKER, "nobody came", failed=(name(1, 9),)))
    assert refusal.value.rule == "check.failed"
    desk.give(FailCheck(CHECKER, "nobody came", failed=(SUPPORT.id,)))
    assert desk.verdicts()[-1].failed == (SUPPORT.id,)
    desk.take(plan(2, assignment(2, 1, STREET, replaces=SUPPORT.id), because="rework"), ended(name(2, 1), STREET))
    assert desk.steps()[-1] == "checking"


def test_an_overdue_check_is_told_once_also_after_a_long_stop() -> None:
    desk = checking()
    due_at = NOW + timedelta(hours=2)
    assert FEEDBACK.due(desk.state) == due_at
    assert desk.lapse(due_at - timedelta(seconds=1)) == []
    assert desk.lapse(due_at + timedelta(days=30)) == [Progressed(step="check_overdue", due_at=due_at)]
    assert FEEDBACK.due(desk.state) is None
    assert desk.lapse(due_at + timedelta(days=60)) == []
    assert desk.give(PassCheck(CHECKER))


def test_a_retrospective_entry_raises_no_alarm() -> None:
    assert FEEDBACK.due(checking(retrospective=True).state) is None


# Verdicts without a check


@pytest.mark.parametrize(
    ("ruling", "outcome", "reason"),
    [
        (
            Merged(into=OTHER, explanation=Explanation(rules=("near",), catalogue="1", policy="1")),
            "duplicate",
            f"merged into {OTHER}",
        ),
        (Rejected(why="not_reproducible", reason="nothing there"), "not_reproducible", "nothing there"),
        (Rejected(why="not_ours", reason="another district"), "not_ours", "another district"),
        (Rejected(why="incomplete", reason="no place"), "not_ours", "incomplete: no place"),
        (Withdrawn(reason="a mistake"), "withdrawn", "a mistake"),
    ],
)
def test_a_ruling_that_ends_the_case_closes_it_at_once(ruling: Fact, outcome: str, reason: str) -> None:
    desk = Desk()
    (verdict,) = desk.take(ruling)
    assert verdict == Evaluated(verdict="closed", outcome=outcome, reason=reason)  # pyright: ignore[reportArgumentType]
    assert desk.take(ruling) == []


def test_a_withdrawal_ends_a_case_that_was_dispatched_or_waits_for_its_check() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), Withdrawn(reason="a mistake"), ended(LEAD.id, WATER, "cancelled"))
    assert [verdict.outcome for verdict in desk.verdicts()] == ["withdrawn"]
    desk = checking()
    desk.take(Withdrawn(reason="a mistake"))
    assert FEEDBACK.due(desk.state) is None
    assert [verdict.outcome for verdict in desk.verdicts()] == ["withdrawn"]


def test_a_forced_closing_ends_an_open_case_once() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD))
    with pytest.raises(Refused) as refusal:
        desk.give(ForceClose(Person("leader:2", areas=("CH/shengdeng",)), "why not"))
    assert refusal.value.rule == "closing.area"
    (verdict,) = desk.give(ForceClose(LEADER, "pulled down"))
    assert isinstance(verdict, Evaluated)
    assert (verdict.outcome, verdict.reason, verdict.checked_by) == ("forced", "pulled down", None)
    with pytest.raises(Refused, match="closed as forced"):
        desk.give(ForceClose(LEADER, "again"))
    assert desk.take(ended(LEAD.id, WATER)) == []


def test_a_partners_verdict_is_not_taken() -> None:
    desk = checking()
    event = desk._event(Evaluated(verdict="closed", outcome="fixed"), NOW, "partner:water", "/partners/water")
    assert isinstance(FEEDBACK.react(event, desk.state, Inputs(NOW, NOW, CASE)), Unfit)


def test_the_first_verdict_stands() -> None:
    desk = closed()
    event = desk._event(Evaluated(verdict="closed", outcome="forced"), NOW + timedelta(days=1), LEADER.subject)
    assert FEEDBACK.evolve(desk.state, event) == desk.state


# Ratings


def test_a_reporter_rates_once_within_the_days_of_the_policy() -> None:
    desk = closed()
    last = NOW + timedelta(days=POLICY.rating_days)
    with pytest.raises(Refused) as refusal:
        desk.give(Rate(REPORTER, 5), last + timedelta(seconds=1))
    assert refusal.value.rule == "rating.late"
    assert desk.give(Rate(REPORTER, 5, "well done"), last) == [Progressed(step="rated", rating=5, note="well done")]
    with pytest.raises(Refused) as refusal:
        desk.give(Rate(REPORTER, 1))
    assert refusal.value.rule == "rating.once"
    assert desk.give(Rate(Person("reporter:2"), 3))


def test_what_is_open_merged_or_unknown_is_not_rated_nor_by_its_checker() -> None:
    with pytest.raises(Unknown):
        Desk().give(Rate(REPORTER, 5))
    with pytest.raises(Refused, match="not closed"):
        checking().give(Rate(REPORTER, 5))
    merged = Desk()
    merged.take(Merged(into=OTHER, explanation=Explanation(rules=("near",), catalogue="1", policy="1")))
    with pytest.raises(Refused, match=OTHER):
        merged.give(Rate(REPORTER, 5))
    with pytest.raises(Refused, match="checked"):
        closed().give(Rate(CHECKER, 5))


# Scores


def score(verdict: Evaluated) -> dict[tuple[str, str | None], float]:
    return {(one.formula, one.unit): one.value for one in verdict.scores}


def test_scores_of_a_case_with_a_late_support() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), at=NOW + timedelta(minutes=6))
    desk.take(
        ended(
            LEAD.id,
            WATER,
            acknowledged_at=NOW + timedelta(minutes=9),
            arrived_at=NOW + timedelta(minutes=36),
            resolve_by=NOW + timedelta(hours=8),
            extensions=1,
        ),
        at=NOW + timedelta(hours=6),
    )
    desk.take(ended(SUPPORT.id, STREET), at=NOW + timedelta(hours=5))
    desk.give(PassCheck(CHECKER), NOW + timedelta(hours=7))
    verdict = desk.verdicts()[-1]
    assert (verdict.due_at, verdict.late_by_seconds) == (NOW + timedelta(hours=8), 0)
    assert score(verdict) == {
        ("on-time.v1", None): 1,
        ("hours-to-acknowledge.v1", None): 0.05,
        ("hours-to-arrive.v1", None): 0.5,
        ("hours-to-resolve.v1", None): 6,
        ("reworks.v1", None): 0,
        ("unit-on-time.v1", WATER): 1,
        ("unit-on-time.v1", STREET): 0,
    }


def test_lateness_is_what_the_publisher_measured_else_against_the_plan() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"), ended(LEAD.id, WATER, late_by_seconds=77))
    assert desk.verdicts()[0].late_by_seconds == 77
    assert score(desk.verdicts()[0])["on-time.v1", None] == 0


def test_a_retrospective_entry_is_measured_from_its_own_times() -> None:
    desk = Desk(now=NOW + timedelta(days=900))
    desk.take(plan(1, LEAD, method="rule", retrospective=True), at=desk.now)
    desk.take(
        ended(LEAD.id, WATER, acknowledged_at=NOW + timedelta(hours=1)),
        at=NOW + timedelta(hours=3),
    )
    scores = score(desk.verdicts()[0])
    assert scores["hours-to-acknowledge.v1", None] == 1
    assert scores["hours-to-resolve.v1", None] == 3
    assert scores["on-time.v1", None] == 1


def test_a_plan_of_very_many_units_still_gets_its_verdict() -> None:
    desk = Desk()
    for round_ in (1, 2, 3):
        crowd = [assignment(round_, n, f"dept:d{round_}-{n}", lead=(round_, n) == (1, 1)) for n in range(1, 51)]
        desk.take(*(ended(one.id, one.unit) for one in crowd), plan(round_, *crowd))
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].outcome == "fixed"


# Laws


@dataclass(frozen=True)
class Story:
    """What triage and dispatch say of one case, each in its own order."""

    assigned: list[Fact]
    resolved: list[Fact]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A case's rounds until everything is fixed or cancelled, with ends said twice and ends in others' names.

    In some the reporter withdraws before the end, and what is open is cancelled.
    """
    assigned: list[Fact] = []
    resolved: list[Fact] = []
    method: CheckMethod = draw(st.sampled_from(["photo", "rule"]))
    units = [WATER, STREET, FIRE, GRID]
    given = [assignment(1, n + 1, unit, lead=n == 0) for n, unit in enumerate(units[: draw(st.integers(1, 4))])]
    withdrawn_in = draw(st.integers(1, 8))
    for round_ in range(1, 5):
        assigned.append(plan(round_, *given, method=method))
        if round_ == withdrawn_in:
            for n, one in enumerate(given):
                outcome = "cancelled" if n == len(given) - 1 else draw(st.sampled_from(["fixed", "cancelled"]))
                resolved.append(ended(one.id, one.unit, outcome))
            assigned.append(Withdrawn(reason="a mistake"))
            return Story(assigned, resolved)
        back: list[Assignment] = []
        for one in given:
            outcome: Outcome = draw(st.sampled_from(["fixed", "fixed", "returned", "escalated", "cancelled"]))
            if round_ == 4 or (outcome == "cancelled" and one.lead):
                outcome = "fixed"
            if draw(st.booleans()):
                resolved.append(ended(one.id, "dept:stranger", draw(st.sampled_from(["fixed", "returned"]))))
            resolved.append(ended(one.id, one.unit, outcome, handled_by=draw(st.sampled_from([(), ("worker:1",)]))))
            if draw(st.booleans()):
                resolved.append(ended(one.id, one.unit, draw(st.sampled_from(["fixed", "returned"]))))
            if outcome in ("returned", "escalated"):
                back.append(one)
        if not back:
            return Story(assigned, resolved)
        given = [assignment(round_ + 1, n + 1, one.unit, lead=one.lead, replaces=one.id) for n, one in enumerate(back)]
    raise AssertionError("the last round ends everything")


def interleaved(story: Story, turns: list[bool]) -> list[Fact]:
    """Both topics in one order, each keeping its own."""
    left, right = list(story.assigned), list(story.resolved)
    order: list[Fact] = []
    for turn in turns:
        source = left if turn and left else right if right else left
        if source:
            order.append(source.pop(0))
    return order + left + right


@given(story=stories(), turns=st.lists(st.booleans(), max_size=60))
def test_no_order_between_the_topics_matters(story: Story, turns: list[bool]) -> None:
    straight, other = Desk(), Desk()
    straight.take(*story.assigned, *story.resolved)
    other.take(*interleaved(story, turns))
    assert other.verdicts() == straight.verdicts()
    assert other.state == straight.state
    if isinstance(story.assigned[-1], Withdrawn):
        assert [verdict.outcome for verdict in other.verdicts()] == ["withdrawn"]
    else:
        assert straight.steps() in (["checking"], ["verified"])
        assert other.steps() == straight.steps()


@given(story=stories(), turns=st.lists(st.booleans(), max_size=60), at=st.integers(0, 40))
def test_facts_said_again_change_nothing(story: Story, turns: list[bool], at: int) -> None:
    order = interleaved(story, turns)
    desk = Desk()
    desk.take(*order)
    published = list(desk.published)
    desk.take(order[at % len(order)])
    assert desk.published == published
    once, twice = Desk(), Desk()
    once.take(*story.assigned, *story.resolved)
    twice.take(*(fact for fact in (*story.assigned, *story.resolved) for _ in range(2)))
    assert twice.published == once.published


def every_way_out(story: Story, turns: list[bool], passes: bool) -> Desk:
    desk = Desk()
    desk.take(*interleaved(story, turns))
    if desk.state.checking is not None:
        desk.lapse(NOW + timedelta(days=1))
        desk.give(PassCheck(CALLER) if passes else FailCheck(CALLER, "no"), NOW + timedelta(days=1))
    if desk.state.closing is not None:
        desk.give(Rate(REPORTER, 4), NOW + timedelta(days=2))
    return desk


@given(story=stories(), turns=st.lists(st.booleans(), max_size=60), passes=st.booleans())
def test_deciding_is_pure_and_folding_from_the_wire_gives_the_same_state(
    story: Story, turns: list[bool], passes: bool
) -> None:
    desk, again = every_way_out(story, turns, passes), every_way_out(story, turns, passes)
    assert desk.published == again.published
    state = FEEDBACK.initial
    for event in desk.events:
        _, raw = build(
            event_id=event.id,
            source=event.source,
            subject=event.subject,
            time=event.time,
            recorded=event.recordedtime,
            sequence=int(event.sequence),
            data=event.data,
            actor=event.actor,
        )
        state = FEEDBACK.evolve(state, parse(event.type.split(".")[1], raw))
    assert state == desk.state


@given(story=stories(), turns=st.lists(st.booleans(), max_size=60), passes=st.booleans())
def test_a_row_once_there_never_disappears(story: Story, turns: list[bool], passes: bool) -> None:
    state, seen = FEEDBACK.initial, {view.table: set[tuple[Any, ...]]() for view in VIEWS}
    for event in every_way_out(story, turns, passes).events:
        state = FEEDBACK.evolve(state, event)
        for view in VIEWS:
            rows = list(view.rows(CASE, state))
            assert all(len(row) == len(view.columns) for row in rows)
            keys = {row[: len(view.key)] for row in rows}
            assert len(keys) == len(rows)
            assert keys >= seen[view.table]
            seen[view.table] = keys


def test_a_case_nothing_is_known_of_has_no_rows() -> None:
    assert all(not list(view.rows(CASE, FEEDBACK.initial)) for view in VIEWS)


@given(
    facts=st.lists(
        st.sampled_from(
            [
                Progressed(step="retried"),
                Progressed(step="discarded"),
                Progressed(step="check_overdue"),
                Progressed(step="rated", rating=3),
                Progressed(step="checking"),
                Evaluated(verdict="rework", failed=(name(1, 1),)),
                Evaluated(verdict="closed", outcome="fixed"),
                plan(2, assignment(2, 1, WATER, replaces=name(2, 1))),
                plan(1, LEAD),
                ended(name(2, 1), WATER),
                ended(LEAD.id, WATER, "returned"),
                Withdrawn(reason="a mistake"),
            ]
        ),
        max_size=12,
    )
)
def test_folding_accepts_any_fact_in_any_order(facts: list[Fact]) -> None:
    desk = Desk()
    for fact in facts:
        desk._fold(desk._event(fact, NOW, "somebody"))
        FEEDBACK.due(desk.state)
        for view in VIEWS:
            list(view.rows(CASE, desk.state))

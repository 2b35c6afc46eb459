"""Dispatch's rules: given what happened to a case, when something is asked or time passes, then these facts follow."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decider import Early, Inputs, Refused, Unfit, Unknown
from chassis.ids import uuid7
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place, Point
from contracts.intake import NewReport
from contracts.progress import Progressed
from contracts.reference import Calendar, Catalogue
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged, Rejected, Withdrawn
from contracts.wire import build, parse
from services.dispatch.domain import Reckoning, decider
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    By,
    Command,
    DecideExtension,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
    Supervise,
    Urge,
)
from services.dispatch.domain.state import Case, Work
from services.dispatch.views import item, status_of
from tests.support.facts import case_id, event_of

DISTRICT = Path(__file__).parents[2] / "deploy" / "district"
RECKONING = Reckoning(
    Catalogue.model_validate_json((DISTRICT / "catalogue.json").read_bytes()),
    Calendar.model_validate_json((DISTRICT / "calendar.json").read_bytes()),
    80,
    100,
)
DECIDER = decider(RECKONING, extend_max=2, urge_cooldown_minutes=30, urge_daily_cap=3)

CASE = case_id()
T0 = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
LEAD, SUPPORT = f"{CASE}.1.1", f"{CASE}.1.2"
AREA = "CH/shengdeng/hualin/g001"
LADDER = ("street:CH/shengdeng", "district:CH")
CREW = By(frozenset({"dept:water"}))
FIRE = By(frozenset({"dept:fire"}))
CENTRE = By()


def assignment(number: int, unit: str, *, of_round: int = 1, start: datetime = T0, **more: Any) -> Assignment:
    given_out = {
        "id": f"{CASE}.{of_round}.{number}",
        "unit": unit,
        "lead": number == 1,
        "task": "repair the main" if number == 1 else "bring water",
        "acknowledge_by": start + 10 * MINUTE,
        "resolve_by": start + 4 * HOUR,
        "extensions": (start + 8 * HOUR, start + 12 * HOUR),
        "escalated_to": LADDER,
        **more,
    }
    return Assignment.model_validate(given_out)


def dispatched(*plan: Assignment, of_round: int = 1, **more: Any) -> Dispatched:
    ruling = {
        "round": of_round,
        "because": "first",
        "category": "component.public-facilities.manhole",
        "condition": "a",
        "priority": 1,
        "title": "a water main has burst",
        "place": Place(point=Point(lat=30.66, lon=104.11), area=AREA),
        "area": AREA,
        "filed_at": T0,
        "plan": plan or (assignment(1, "dept:water"), assignment(2, "dept:fire")),
        "check": Check(method="photo", by="grid"),
        "explanation": Explanation(rules=("by hand",), catalogue="1", policy="1"),
        **more,
    }
    return Dispatched.model_validate(ruling)


@dataclass
class World:
    """The case as the runtime would keep it: facts are folded as they come, own ones as they are decided."""

    state: Case = field(default_factory=Case)
    events: list[Event[Any]] = field(default_factory=list)
    raws: list[tuple[str, bytes]] = field(default_factory=list)
    own: list[Fact] = field(default_factory=list)

    def fold(self, data: Any, at: datetime, source: str, actor: str | None = None) -> Event[Any]:
        event, raw = build(
            event_id=uuid7(at),
            source=source,
            subject=CASE,
            time=at,
            recorded=at,
            sequence=len(self.events) + 1,
            data=data,
            actor=actor or "partner:test",
        )
        self.state = DECIDER.evolve(self.state, event)
        self.events.append(event)
        self.raws.append((data.topic, raw))
        return event

    def took(self, data: Any, at: datetime = T0, source: str = "/services/triage") -> Any:
        """Another's fact, and what follows from it."""
        event, _ = event_of(CASE, data, source=source, time=at)
        outcome = DECIDER.react(event, self.state, Inputs(at=at, now=at, stream=CASE))
        if not isinstance(outcome, Early | Unfit):
            self.fold(data, at, source)
            self.publish(outcome, at, "clock")
        return outcome

    def asked(self, command: Command, at: datetime = T0 + MINUTE, who: str = "li") -> Sequence[Fact]:
        """A command of a person's, and what follows from it."""
        facts = DECIDER.decide(command, self.state, Inputs(at=at, now=at, stream=CASE, actor=who))
        self.publish(facts, at, who)
        return facts

    def passed(self, now: datetime) -> Sequence[Fact]:
        """What the time says until `now`."""
        facts = DECIDER.lapse(self.state, Inputs(at=now, now=now, stream=CASE, actor="clock"))
        self.publish(facts, now, "clock")
        return facts

    def publish(self, facts: Sequence[Fact], at: datetime, actor: str) -> None:
        for fact in facts:
            self.own.append(fact)
            self.fold(fact, at, "/services/dispatch", actor)

    def work(self, assignment_id: str = LEAD) -> Work:
        return self.state.work[assignment_id]


def given_out(*plan: Assignment, **more: Any) -> World:
    world = World()
    assert world.took(dispatched(*plan, **more)) == ()
    return world


def acknowledged(*plan: Assignment, **more: Any) -> World:
    """Given out, and acknowledged by every unit."""
    world = given_out(*plan, **more)
    for work in world.state.open:
        world.asked(Acknowledge(work.plan.id, By(frozenset({work.plan.unit}))))
    return world


def steps(facts: Sequence[Fact]) -> list[tuple[Any, ...]]:
    """(step, assignment, level) of each step, (outcome, assignment, None) of each end."""
    return [
        (fact.step, fact.assignment_id, fact.level)
        if isinstance(fact, Progressed)
        else (fact.outcome, fact.assignment_id, None)  # pyright: ignore[reportAttributeAccessIssue]
        for fact in facts
    ]


# ------------------------------------------------------------------------------------------------ the unit's steps


def test_a_plan_opens_all_its_assignments_at_once() -> None:
    world = given_out()
    assert [(w.plan.unit, world.state.status_of(w)) for w in world.state.open] == [
        ("dept:water", "assigned"),
        ("dept:fire", "assigned"),
    ]


def test_a_unit_goes_step_by_step_to_the_end_and_the_end_tells_it_all() -> None:
    world = given_out()
    at = iter(T0 + n * MINUTE for n in range(1, 60))
    acknowledged_at = next(at)
    world.asked(Acknowledge(LEAD, CREW), acknowledged_at, "li")
    world.asked(SetOut(LEAD, CREW), next(at), "li")
    arrived_at = next(at)
    world.asked(Arrive(LEAD, CREW), arrived_at, "wang")
    world.asked(Note(LEAD, CREW, "the valve is stuck"), next(at), "wang")
    world.asked(Note(LEAD, CENTRE, "the district asks"), next(at), "dispatcher")
    world.asked(Urge(LEAD, CENTRE), next(at), "a resident")
    world.asked(Supervise(LEAD, CENTRE, 2, "4,000 households"), next(at), "leader")
    [end] = world.asked(Resolve(LEAD, CREW, note="pressure is back"), T0 + 5 * HOUR, "zhao")
    assert end == Resolved(
        assignment_id=LEAD,
        unit="dept:water",
        outcome="fixed",
        note="pressure is back",
        handled_by=("li", "wang", "zhao"),
        acknowledged_at=acknowledged_at,
        arrived_at=arrived_at,
        resolve_by=T0 + 4 * HOUR,
        late_by_seconds=3600,
        urged=1,
        supervised=True,
    )
    assert world.state.status_of(world.work()) == "fixed"
    assert status_of(world.state) == "dispatched"  # the fire brigade's assignment is open


def test_an_end_a_fraction_of_a_second_late_is_late() -> None:
    world = acknowledged()
    [end] = world.asked(Resolve(LEAD, CREW), T0 + 4 * HOUR + timedelta(microseconds=1))
    assert isinstance(end, Resolved)
    assert end.late_by_seconds == 1
    [end] = acknowledged().asked(Resolve(LEAD, CREW), T0 + 4 * HOUR)
    assert isinstance(end, Resolved)
    assert end.late_by_seconds == 0


@pytest.mark.parametrize("command", [Acknowledge(LEAD, CREW), SetOut(LEAD, CREW), Arrive(LEAD, CREW)])
def test_a_step_asked_for_again_has_no_effect(command: Command) -> None:
    world = acknowledged()
    world.asked(command)
    assert world.asked(command) == ()


def test_a_unit_may_skip_the_way_but_not_go_back() -> None:
    world = acknowledged()
    assert steps(world.asked(Arrive(LEAD, CREW))) == [("on_scene", LEAD, None)]
    with pytest.raises(Refused, match="on the scene already") as refusal:
        world.asked(SetOut(LEAD, CREW))
    assert refusal.value.rule == "step.order"


@pytest.mark.parametrize("command", [SetOut(LEAD, CREW), Arrive(LEAD, CREW), Resolve(LEAD, CREW)])
def test_nothing_is_done_before_it_is_acknowledged(command: Command) -> None:
    with pytest.raises(Refused) as refusal:
        given_out().asked(command)
    assert refusal.value.rule == "step.order"


UNITS_OWN = [
    Acknowledge(LEAD, FIRE),
    SetOut(LEAD, FIRE),
    Arrive(LEAD, FIRE),
    Resolve(LEAD, FIRE),
    Return(LEAD, FIRE, "not ours"),
    RequestExtension(LEAD, FIRE, "no pipe"),
]


@pytest.mark.parametrize("command", UNITS_OWN, ids=lambda c: type(c).__name__)
def test_only_the_assignments_own_unit_acts_on_it(command: Command) -> None:
    with pytest.raises(Refused) as refusal:
        acknowledged().asked(command)
    assert refusal.value.rule == "assignment.unit"


def test_a_partner_that_may_act_for_any_unit_may_act() -> None:
    assert given_out().asked(Acknowledge(LEAD, By(frozenset({"*"}))))


@pytest.mark.parametrize("own", ["CH/shuangqiaozi", "CH/shengdeng/hualin/g00"])
def test_nobody_acts_outside_the_areas_of_his_token(own: str) -> None:
    with pytest.raises(Refused) as refusal:
        given_out().asked(Urge(LEAD, By(areas=(own,))))
    assert refusal.value.rule == "caller.area"
    assert given_out().asked(Urge(LEAD, By(areas=("CH/shengdeng",))))


def test_there_is_no_acting_on_what_is_unknown_ended_or_closed() -> None:
    with pytest.raises(Unknown):
        World().asked(Acknowledge(LEAD, CREW))
    with pytest.raises(Unknown):
        given_out().asked(Acknowledge(f"{CASE}.7.1", CREW))
    ended = acknowledged()
    ended.asked(Resolve(LEAD, CREW))
    with pytest.raises(Refused) as refusal:
        ended.asked(Resolve(LEAD, CREW))
    assert refusal.value.rule == "assignment.ended"
    closed = acknowledged()
    closed.took(Evaluated(verdict="closed", outcome="forced", reason="by the leader"), source="/services/feedback")
    with pytest.raises(Refused) as refusal:
        closed.asked(Resolve(LEAD, CREW))
    assert refusal.value.rule == "case.closed"
    assert closed.state.status_of(closed.work()) == "closed"


def test_steps_keep_the_order_of_the_times_they_were_taken_at() -> None:
    world = acknowledged()
    with pytest.raises(Refused) as refusal:
        world.asked(Arrive(LEAD, CREW), T0)
    assert refusal.value.rule == "step.time"
    with pytest.raises(Refused) as refusal:
        given_out().asked(Acknowledge(LEAD, CREW), T0 - 6 * MINUTE)
    assert refusal.value.rule == "step.time"
    assert given_out().asked(Acknowledge(LEAD, CREW), T0 - 4 * MINUTE)  # a handset a little slow


def test_a_late_entry_takes_the_times_it_is_told() -> None:
    world = given_out(retrospective=True, filed_at=T0 - 90 * HOUR)
    world.asked(Acknowledge(LEAD, CREW), T0 - 89 * HOUR)
    assert world.work().acknowledged_at == T0 - 89 * HOUR


def test_what_has_begun_on_the_scene_is_not_returned() -> None:
    world = acknowledged()
    [end] = world.asked(Return(LEAD, CREW, "the street is the county's"))
    assert isinstance(end, Resolved)
    assert (end.outcome, end.reason) == ("returned", "the street is the county's")
    begun = acknowledged()
    begun.asked(Arrive(LEAD, CREW))
    with pytest.raises(Refused) as refusal:
        begun.asked(Return(LEAD, CREW, "too much work"))
    assert refusal.value.rule == "return.begun"


def test_no_more_people_act_on_an_assignment_than_its_end_can_name() -> None:
    world = acknowledged()
    for n in range(49):
        world.asked(Note(LEAD, CREW, "here"), who=f"helper {n}")
    with pytest.raises(Refused) as refusal:
        world.asked(Resolve(LEAD, CREW), who="one more")
    assert refusal.value.rule == "assignment.handlers"
    assert world.asked(Resolve(LEAD, CREW), who="li")


# ------------------------------------------------------------------------------------------------ control


def test_urging_has_a_cooldown_and_a_cap_for_the_local_day() -> None:
    world = acknowledged(assignment(1, "dept:water", resolve_by=T0 + 90 * HOUR))
    for n in range(3):
        [urged] = world.asked(Urge(LEAD, CENTRE, "calls every minute"), T0 + n * HOUR)
        assert isinstance(urged, Progressed)
        assert (urged.count, urged.unit) == (n + 1, "dept:water")
        with pytest.raises(Refused) as refusal:
            world.asked(Urge(LEAD, CENTRE), T0 + n * HOUR + 29 * MINUTE)
        assert refusal.value.rule == "urge.cooldown"
    with pytest.raises(Refused) as refusal:
        world.asked(Urge(LEAD, CENTRE), T0.replace(hour=15, minute=59))
    assert refusal.value.rule == "urge.daily_cap"
    assert world.asked(Urge(LEAD, CENTRE), T0.replace(hour=16))  # midnight in Shanghai


def test_supervision_only_rises_and_demands_replies_only_by_a_time_to_come() -> None:
    world = given_out()
    [fact] = world.asked(Supervise(LEAD, CENTRE, 2, "ordered", T0 + HOUR))
    assert steps([fact]) == [("supervised", LEAD, 2)]
    with pytest.raises(Refused) as refusal:
        world.asked(Supervise(LEAD, CENTRE, 1, "less"))
    assert refusal.value.rule == "supervise.level"
    with pytest.raises(Refused) as refusal:
        world.asked(Supervise(LEAD, CENTRE, 3, "reply", T0))
    assert refusal.value.rule == "supervise.reply_by"


def test_a_granted_extension_moves_the_deadline_as_the_plan_says_and_twice_at_most() -> None:
    world = acknowledged()
    for n in (1, 2):
        [request] = world.asked(RequestExtension(LEAD, CREW, "no pipe"))
        assert isinstance(request, Progressed)
        assert (request.count, request.due_at) == (n, T0 + (n + 1) * 4 * HOUR)
        with pytest.raises(Refused) as refusal:
            world.asked(RequestExtension(LEAD, CREW, "no pipe"))
        assert refusal.value.rule == "extension.pending"
        world.asked(DecideExtension(LEAD, CENTRE, granted=True), who="dispatcher")
        assert world.work().resolve_by == T0 + (n + 1) * 4 * HOUR
    with pytest.raises(Refused) as refusal:
        world.asked(RequestExtension(LEAD, CREW, "no pipe"))
    assert refusal.value.rule == "extension.limit"
    [end] = world.asked(Resolve(LEAD, CREW), T0 + 11 * HOUR)
    assert isinstance(end, Resolved)
    assert (end.extensions, end.resolve_by, end.late_by_seconds) == (2, T0 + 12 * HOUR, 0)


def test_a_refused_extension_does_not_count() -> None:
    world = acknowledged()
    for _ in range(3):
        world.asked(RequestExtension(LEAD, CREW, "no pipe"))
        assert steps(world.asked(DecideExtension(LEAD, CENTRE, granted=False, reason="there is one"), who="d")) == [
            ("extension_refused", LEAD, None)
        ]
    assert (world.work().extensions, world.work().resolve_by) == (0, T0 + 4 * HOUR)


def test_an_extension_is_asked_for_before_it_is_overdue_and_decided_by_somebody_else() -> None:
    world = acknowledged()
    with pytest.raises(Refused) as refusal:
        world.asked(DecideExtension(LEAD, CENTRE, granted=True), who="dispatcher")
    assert refusal.value.rule == "extension.none"
    with pytest.raises(Refused) as refusal:
        world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + 4 * HOUR)
    assert refusal.value.rule == "extension.overdue"
    world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + 4 * HOUR - MINUTE)
    with pytest.raises(Refused) as refusal:
        world.asked(DecideExtension(LEAD, CENTRE, granted=True), T0 + 4 * HOUR, who="li")
    assert refusal.value.rule == "extension.self"


# ------------------------------------------------------------------------------------------------ deadlines


def test_what_nobody_acknowledges_in_time_goes_back_to_triage() -> None:
    world = given_out()
    world.asked(Acknowledge(SUPPORT, FIRE))
    assert DECIDER.due(world.state) == T0 + 10 * MINUTE
    assert world.passed(T0 + 10 * MINUTE - timedelta(microseconds=1)) == []
    [end] = world.passed(T0 + 10 * MINUTE)
    assert isinstance(end, Resolved)
    assert (end.assignment_id, end.outcome, end.handled_by) == (LEAD, "escalated", ())
    assert end.reason == "not acknowledged by 2026-05-09T02:10:00Z"
    assert world.passed(T0 + 20 * MINUTE) == []


def test_yellow_red_and_the_ladder_pass_one_by_one_and_each_is_told_once() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    told = []
    while (at := DECIDER.due(world.state)) is not None:
        assert world.passed(at - timedelta(microseconds=1)) == []
        told += [((at - T0) / HOUR, *steps([fact])[0]) for fact in world.passed(at)]
    assert told == [
        (3.2, "nearly_due", LEAD, None),
        (4.0, "overdue", LEAD, None),
        (4.0, "escalated", LEAD, 1),
        (8.0, "escalated", LEAD, 2),
        (12.0, "escalation_failed", LEAD, 3),
    ]
    assert [fact.unit for fact in world.own if isinstance(fact, Progressed) and fact.step == "escalated"] == [*LADDER]


def test_after_a_stop_longer_than_every_limit_each_passage_is_told_once_with_its_own_time() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    facts = world.passed(T0 + 1000 * HOUR)
    assert [s[0] for s in steps(facts)] == ["nearly_due", "overdue", "escalated", "escalated", "escalation_failed"]
    assert [f.due_at for f in facts if isinstance(f, Progressed) and f.step == "escalated"] == [
        T0 + 4 * HOUR,
        T0 + 8 * HOUR,
    ]
    assert DECIDER.due(world.state) is None
    assert world.passed(T0 + 2000 * HOUR) == []


def test_at_the_top_of_the_ladder_the_failure_to_escalate_is_told() -> None:
    world = acknowledged(assignment(1, "district:CH", escalated_to=()))
    assert steps(world.passed(T0 + 4 * HOUR))[1:] == [("overdue", LEAD, None), ("escalation_failed", LEAD, 1)]


def test_a_new_deadline_has_passages_of_its_own() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + 3 * HOUR)
    world.passed(T0 + 4 * HOUR)
    world.asked(DecideExtension(LEAD, CENTRE, granted=True), T0 + 5 * HOUR, "dispatcher")
    assert DECIDER.due(world.state) == T0 + 6.4 * HOUR
    assert [s[0] for s in steps(world.passed(T0 + 8 * HOUR))] == ["nearly_due", "overdue", "escalated"]


def test_yellow_is_a_share_of_the_limit_on_the_categorys_own_clock() -> None:
    friday = datetime(2026, 5, 15, 0, 0, tzinfo=UTC)  # 08:00 in Shanghai: two working days end on Monday, 18:00
    monday = datetime(2026, 5, 18, 10, 0, tzinfo=UTC)
    plan = assignment(1, "dept:water", start=friday, resolve_by=monday)
    world = World()
    world.took(dispatched(plan, condition="b", filed_at=friday), friday)
    assert RECKONING.yellow_at(world.work()) == datetime(2026, 5, 18, 6, 48, tzinfo=UTC)  # 12.8 of 16 working hours
    assert RECKONING.escalates_at(world.work(), 2) == datetime(2026, 5, 20, 10, 0, tzinfo=UTC)
    unknown = replace(world.work(), order=world.work().order.model_copy(update={"category": "event.new.kind"}))
    assert RECKONING.yellow_at(unknown) == friday + (monday - friday) * 0.8


@pytest.mark.parametrize("resolve_by", [T0, T0 - HOUR])
def test_a_deadline_that_had_passed_when_it_was_given_is_told_at_once(resolve_by: datetime) -> None:
    world = acknowledged(assignment(1, "dept:water", resolve_by=resolve_by))
    assert len(world.passed(T0)) == 5
    assert DECIDER.due(world.state) is None


def test_a_late_entry_and_a_closed_case_raise_no_alarm() -> None:
    late = given_out(retrospective=True)
    assert DECIDER.due(late.state) is None
    assert late.passed(T0 + 1000 * HOUR) == []
    closed = given_out()
    closed.took(Evaluated(verdict="closed", outcome="forced", reason="by the leader"), source="/services/feedback")
    assert DECIDER.due(closed.state) is None
    assert closed.passed(T0 + 1000 * HOUR) == ()


# ------------------------------------------------------------------------------------------------ others' facts


@pytest.mark.parametrize(
    ("ruling", "reason"),
    [
        (Withdrawn(reason="it has stopped"), "withdrawn: it has stopped"),
        (Rejected(why="not_ours", reason="private ground"), "rejected: private ground"),
        (
            Merged(into=CASE, explanation=Explanation(rules=("near",), catalogue="1", policy="1")),
            f"merged into case {CASE}",
        ),
    ],
    ids=["withdrawn", "rejected", "merged"],
)
def test_what_is_open_is_cancelled_when_triage_takes_the_case_back(ruling: Fact, reason: str) -> None:
    world = acknowledged()
    world.asked(Resolve(SUPPORT, FIRE))
    [end] = world.took(ruling, T0 + HOUR)
    assert isinstance(end, Resolved)
    assert (end.assignment_id, end.outcome, end.reason) == (LEAD, "cancelled", reason)
    assert world.took(ruling, T0 + HOUR) == []


def test_a_later_round_opens_more_and_leaves_what_was_done() -> None:
    world = acknowledged()
    world.asked(Return(LEAD, CREW, "not ours"))
    again = assignment(1, "street:CH/shengdeng", of_round=2, replaces=LEAD)
    world.took(dispatched(again, of_round=2, because="returned"))
    assert [work.plan.id for work in world.state.open] == [SUPPORT, again.id]
    assert world.work().end is not None
    assert world.state.order is not None
    assert world.state.order.round == 2


def test_a_plan_that_says_an_assignment_again_does_not_open_it_again() -> None:
    world = acknowledged()
    before = dict(world.state.work)
    world.took(dispatched(assignment(1, "dept:other"), assignment(2, "dept:fire")))
    assert world.state.work == before


def ended(assignment_id: str = SUPPORT, unit: str = "dept:fire", outcome: str = "fixed", **more: Any) -> Resolved:
    reason = None if outcome == "fixed" else "because"
    return Resolved.model_validate(
        {"assignment_id": assignment_id, "unit": unit, "outcome": outcome, "reason": reason, **more}
    )


def test_a_partners_own_end_counts_with_its_own_times() -> None:
    world = given_out()
    theirs = ended(acknowledged_at=T0 + MINUTE, arrived_at=T0 + 9 * MINUTE, handled_by=("crew 7",))
    assert world.took(theirs, T0 + 5 * HOUR, "/partners/fire") == ()
    work = world.work(SUPPORT)
    assert work.end is not None
    assert (work.end.outcome, work.end.by, work.end.late_by_seconds) == ("fixed", "/partners/fire", 3600)
    assert (work.acknowledged_at, work.arrived_at, work.handled_by) == (T0 + MINUTE, T0 + 9 * MINUTE, ("crew 7",))
    assert world.passed(T0 + 5 * MINUTE) == []


def test_a_partners_end_waits_for_its_case_and_its_assignment() -> None:
    assert World().took(ended(), source="/partners/fire") == Early(f"unknown case {CASE}")
    unknown = f"{CASE}.2.1"
    assert given_out().took(ended(unknown), source="/partners/fire") == Early(f"unknown assignment {unknown}")


def test_a_partners_end_of_another_units_assignment_is_unfit() -> None:
    outcome = given_out().took(ended(LEAD), source="/partners/fire")
    assert isinstance(outcome, Unfit)
    assert "dept:water's" in outcome.reason


def test_a_second_end_leaves_a_trace_and_nothing_else() -> None:
    world = given_out()
    world.took(ended(), T0 + HOUR, "/partners/fire")
    before = world.state
    [trace] = world.took(ended(outcome="returned"), T0 + 2 * HOUR, "/partners/fire")
    assert isinstance(trace, Progressed)
    assert (trace.step, trace.reason) == ("refused", "/partners/fire says returned, but it ended as fixed before")
    assert world.state == before


def test_what_dispatch_does_not_read_is_unfit_and_folds_to_nothing() -> None:
    world = given_out()
    report = NewReport(channel="partner", title="water")
    assert isinstance(world.took(report, source="/partners/hotline"), Unfit)
    assert DECIDER.evolve(world.state, event_of(CASE, report)[0]) == world.state


def test_the_case_is_shown_as_far_as_its_newest_open_lead_has_come() -> None:
    world = given_out(assignment(1, "dept:water"))
    shown = [status_of(world.state)]
    for command in (Acknowledge(LEAD, CREW), SetOut(LEAD, CREW), Arrive(LEAD, CREW), Resolve(LEAD, CREW)):
        world.asked(command)
        shown.append(status_of(world.state))
    world.took(Evaluated(verdict="closed", outcome="fixed"), source="/services/feedback")
    assert [*shown, status_of(world.state)] == [
        "dispatched",
        "acknowledged",
        "en_route",
        "on_scene",
        "fixed",
        "closed",
    ]
    back = given_out(assignment(1, "dept:water"))
    back.asked(Return(LEAD, CREW, "not ours"))
    assert status_of(back.state) == "filed"


# ------------------------------------------------------------------------------------------------ laws

COMMANDS: list[Command] = [
    *(kind(one, by) for one, by in ((LEAD, CREW), (SUPPORT, FIRE)) for kind in (Acknowledge, SetOut, Arrive, Resolve)),
    Return(LEAD, CREW, "not ours"),
    Note(SUPPORT, FIRE, "on our way"),
    Urge(LEAD, CENTRE),
    Supervise(SUPPORT, CENTRE, 1, "ordered"),
    RequestExtension(LEAD, CREW, "no pipe"),
    DecideExtension(LEAD, CENTRE, granted=True),
    DecideExtension(LEAD, CENTRE, granted=False, reason="there is one"),
]
OTHERS: list[tuple[Fact, str]] = [
    (dispatched(), "/services/triage"),
    (dispatched(assignment(1, "street:CH/shengdeng", of_round=2), of_round=2), "/services/triage"),
    (Withdrawn(reason="it has stopped"), "/services/triage"),
    (ended(), "/partners/fire"),
    (ended(outcome="returned"), "/partners/fire"),
    (Evaluated(verdict="rework", failed=(LEAD,)), "/services/feedback"),
    (Evaluated(verdict="closed", outcome="fixed"), "/services/feedback"),
]
histories = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(COMMANDS), st.sampled_from(OTHERS), st.just("time passes")), st.integers(0, 400)
    ),
    max_size=30,
)


def lived(history: list[tuple[Any, int]]) -> World:
    """A world in which all that was tried, minute after minute, as far as the rules allowed it."""
    world, now = World(), T0
    world.took(dispatched(), now)
    for what, minutes in history:
        now += minutes * MINUTE
        if what == "time passes":
            world.passed(now)
        elif isinstance(what, tuple):
            world.took(what[0], now, what[1])
        else:
            try:
                world.asked(what, now, "dispatcher" if isinstance(what, DecideExtension) else "li")
            except Refused:
                continue
    return world


@given(histories)
def test_facts_survive_the_wire_and_unknown_fields_are_ignored(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    state = DECIDER.initial
    for topic, raw in world.raws:
        body = orjson.loads(raw)
        body["data"]["added later"] = body["added later"] = {"a": 1}
        state = DECIDER.evolve(state, parse(topic, orjson.dumps(body)))
    assert state == world.state


@given(histories)
def test_every_assignment_ends_once_at_most(history: list[tuple[Any, int]]) -> None:
    ends = [fact.assignment_id for fact in lived(history).own if isinstance(fact, Resolved)]
    assert len(ends) == len(set(ends))


@given(histories, st.integers(0, 5000))
def test_after_a_lapse_nothing_is_due_until_later_and_a_second_one_says_nothing(
    history: list[tuple[Any, int]], minutes: int
) -> None:
    world = lived(history)
    now = world.events[-1].time + minutes * MINUTE
    world.passed(now)
    due_at = DECIDER.due(world.state)
    assert due_at is None or due_at > now
    assert list(world.passed(now)) == []


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8))
def test_how_often_the_clock_is_looked_at_does_not_matter(minutes: list[int]) -> None:
    seldom, often = acknowledged(), acknowledged()
    for now in sorted(minutes):
        often.passed(T0 + now * MINUTE)
    seldom.passed(T0 + max(minutes) * MINUTE)
    assert sorted(map(repr, seldom.own)) == sorted(map(repr, often.own))
    assert seldom.state == often.state


@given(histories)
def test_deciding_is_pure(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    now = world.events[-1].time + MINUTE
    before = repr(world.state)
    for data, source in OTHERS:
        event, _ = event_of(CASE, data, source=source, time=now)
        inputs = Inputs(at=now, now=now, stream=CASE)
        assert DECIDER.react(event, world.state, inputs) == DECIDER.react(event, world.state, inputs)
        DECIDER.evolve(world.state, event)
    for command in COMMANDS:
        inputs = Inputs(at=now, now=now, stream=CASE, actor="li")
        assert outcome(command, world.state, inputs) == outcome(command, world.state, inputs)
    assert repr(world.state) == before


def outcome(command: Command, state: Case, inputs: Inputs) -> Any:
    try:
        return DECIDER.decide(command, state, inputs)
    except Refused as refusal:
        return refusal.rule


@given(st.lists(st.sampled_from([*OTHERS, (Progressed(step="overdue", assignment_id=LEAD), "/services/dispatch")])))
def test_any_facts_in_any_order_fold(facts: list[tuple[Fact, str]]) -> None:
    state = DECIDER.initial
    for data, source in facts:
        state = DECIDER.evolve(state, event_of(CASE, data, source=source, time=T0)[0])
    for work in state.work.values():
        item(RECKONING, CASE, state, work)
    DECIDER.due(state)


TOPICS: dict[str, list[Fact]] = {
    "Assigned": [
        dispatched(),
        dispatched(assignment(1, "dept:water", of_round=2, replaces=LEAD), of_round=2, because="rework"),
    ],
    "Resolved": [
        ended(LEAD, "dept:water"),
        ended(SUPPORT, "dept:fire"),
        ended(LEAD, "dept:water", "returned"),
        ended(f"{CASE}.2.1", "dept:water"),
    ],
    "Evaluated": [Evaluated(verdict="rework", failed=(LEAD,)), Evaluated(verdict="closed", outcome="fixed")],
}


@given(st.permutations([topic for topic, facts in TOPICS.items() for _ in facts]))
def test_the_order_between_topics_does_not_matter(order: list[str]) -> None:
    assert through(order) == through([topic for topic, facts in TOPICS.items() for _ in facts])


def through(order: list[str]) -> Case:
    """What becomes of the case when the topics' facts come in this order, early ones held and tried again."""
    world = World()
    waiting: dict[str, list[tuple[Fact, datetime]]] = {topic: [] for topic in TOPICS}
    seen = dict.fromkeys(TOPICS, 0)
    for topic in order:
        at = T0 + (list(TOPICS).index(topic) * 10 + seen[topic]) * MINUTE
        waiting[topic].append((TOPICS[topic][seen[topic]], at))
        seen[topic] += 1
        moved = True
        while moved:
            moved = False
            for queue in waiting.values():
                while queue and not isinstance(world.took(*queue[0], source="/partners/bench"), Early):
                    queue.pop(0)
                    moved = True
    assert not any(waiting.values())
    return world.state

"""Dispatch's rules: given what happened to a case, when something is asked of it, then these facts follow."""

from datetime import timedelta

import pytest

from chassis.decider import Early, Refused, Unfit, Unknown
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import NewReport
from contracts.progress import Progressed
from contracts.triage import Explanation, Merged, Rejected, Withdrawn
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
from services.dispatch.views import status_of
from tests.domain.dispatch_story import (
    CASE,
    CENTRE,
    CREW,
    DECIDER,
    FIRE,
    HOUR,
    LEAD,
    MINUTE,
    SUPPORT,
    T0,
    World,
    acknowledged,
    assignment,
    dispatched,
    ended,
    given_out,
    steps,
)
from tests.support.facts import event_of


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

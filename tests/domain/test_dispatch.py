"""Dispatch's rules: given what happened to a case, when something is asked of it, then these facts follow."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from chassis.engine.decider import Refused, Unfit, Unknown
from contracts import request
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.reference import Partner
from contracts.triage import Rejected, Upheld, Withdrawn
from services.dispatch.api import ROLES
from services.dispatch.callers import UNITS
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    Command,
    DecideExtension,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
    Supervise,
    Urge,
    actions,
)
from services.dispatch.domain.permissions import By
from services.dispatch.domain.requests import COMMANDS, command
from tests.domain.dispatch_story import (
    CASE,
    CENTRE,
    CREW,
    DECIDER,
    FIRE,
    GRID,
    HOUR,
    LEAD,
    MINUTE,
    OTHER,
    RULES,
    STREETS,
    SUPPORT,
    T0,
    World,
    acknowledged,
    assignment,
    dispatched,
    given_out,
    merged,
    steps,
)
from tests.support.facts import event_of, report


def refused(world: World, asked: Command, at: datetime = T0 + MINUTE, **more: Any) -> str:
    """The rule that forbids it."""
    with pytest.raises(Refused) as refusal:
        world.asked(asked, at, **more)
    return refusal.value.rule


def test_a_plan_opens_all_its_assignments_at_once() -> None:
    world = given_out()
    assert [(w.plan.unit, w.status) for w in world.state.open_assignments] == [
        ("dept:water", "dispatched"),
        ("dept:fire", "dispatched"),
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
    assert world.assignment().status == "fixed"
    assert world.state.standing.status == "fixed"  # the lead's work is done, the fire brigade's is open


def test_an_end_a_fraction_of_a_second_late_is_late() -> None:
    world = acknowledged()
    [end] = world.asked(Resolve(LEAD, CREW), T0 + 4 * HOUR + timedelta(microseconds=1))
    assert end.late_by_seconds == 1
    [end] = acknowledged().asked(Resolve(LEAD, CREW), T0 + 4 * HOUR)
    assert end.late_by_seconds == 0


@pytest.mark.parametrize("command", [Acknowledge(LEAD, CREW), SetOut(LEAD, CREW), Arrive(LEAD, CREW)])
def test_a_step_asked_for_again_has_no_effect(command: Command) -> None:
    world = acknowledged()
    world.asked(command)
    assert list(world.asked(command)) == []


def test_a_unit_may_skip_the_way_but_not_go_back() -> None:
    world = acknowledged()
    assert steps(world.asked(Arrive(LEAD, CREW))) == [("on_scene", LEAD, None)]
    with pytest.raises(Refused, match="on the scene already"):
        world.asked(SetOut(LEAD, CREW))


@pytest.mark.parametrize("command", [SetOut(LEAD, CREW), Arrive(LEAD, CREW), Resolve(LEAD, CREW)])
def test_nothing_is_done_before_it_is_acknowledged(command: Command) -> None:
    assert refused(given_out(), command) == "step.order"


UNITS_OWN = [
    Acknowledge(LEAD, FIRE),
    SetOut(LEAD, FIRE),
    Arrive(LEAD, FIRE),
    Resolve(LEAD, FIRE),
    Return(LEAD, FIRE, "not ours"),
    HandOn(LEAD, FIRE, GRID, "busy"),
    Note(LEAD, FIRE, "on our way"),
    RequestExtension(LEAD, FIRE, "no pipe"),
]


@pytest.mark.parametrize("command", UNITS_OWN, ids=lambda c: type(c).__name__)
def test_only_the_assignments_own_unit_acts_on_it(command: Command) -> None:
    assert refused(acknowledged(), command) == "assignment.unit"


def test_there_is_no_acting_on_what_is_unknown_or_has_ended() -> None:
    with pytest.raises(Unknown):
        World().asked(Acknowledge(LEAD, CREW))
    with pytest.raises(Unknown):
        given_out().asked(Acknowledge(f"{CASE}.7.1", CREW))
    ended = acknowledged()
    ended.asked(Resolve(LEAD, CREW))
    assert refused(ended, Resolve(LEAD, CREW)) == "assignment.ended"
    closed = acknowledged()
    closed.took(Evaluated(verdict="closed", outcome="forced", reason="by the leader"))
    assert refused(closed, Resolve(LEAD, CREW)) == "assignment.ended"


LONG_AGO, AHEAD = T0 - 90 * HOUR, T0 + 90 * HOUR


@pytest.mark.parametrize(
    ("claimed", "doubtful"),
    [
        (None, False),
        (T0 + 8 * MINUTE, False),
        (T0 - 4 * MINUTE, False),  # a handset a little slow
        (T0 - 6 * MINUTE, True),
        (T0 + 14 * MINUTE, False),
        (T0 + 16 * MINUTE, True),
        (LONG_AGO, True),
        (AHEAD, True),
    ],
)
def test_what_counts_is_the_arrival_and_what_is_claimed_stands_beside_it(
    claimed: datetime | None, doubtful: bool
) -> None:
    world = given_out()
    [step] = world.asked(Acknowledge(LEAD, CREW), T0 + 10 * MINUTE, claimed=claimed)
    assert world.assignment().acknowledged_at == T0 + 10 * MINUTE
    assert (step.claimed_at, step.time_doubtful) == (claimed, doubtful)


def test_a_claim_is_held_against_the_step_before_it() -> None:
    world = acknowledged()
    world.asked(Arrive(LEAD, CREW), T0 + HOUR)
    [end] = world.asked(Resolve(LEAD, CREW), T0 + 5 * HOUR, claimed=T0 + 2 * HOUR)
    assert (end.claimed_at, end.time_doubtful, end.late_by_seconds) == (T0 + 2 * HOUR, False, 3600)
    world.asked(Arrive(SUPPORT, FIRE), T0 + HOUR)
    [end] = world.asked(Resolve(SUPPORT, FIRE), T0 + 2 * HOUR, claimed=T0 + 30 * MINUTE)
    assert (end.claimed_at, end.time_doubtful) == (T0 + 30 * MINUTE, True)


@pytest.mark.parametrize(
    ("claimed", "counts"),
    [(T0 - 89 * HOUR, T0 - 89 * HOUR), (T0 - 91 * HOUR, T0 - 90 * HOUR), (AHEAD, T0 + MINUTE)],
    ids=["in between", "before it was filed", "ahead"],
)
def test_of_a_late_entry_the_claimed_time_counts_within_its_bounds(claimed: datetime, counts: datetime) -> None:
    world = given_out(retrospective=True, filed_at=LONG_AGO)
    [step] = world.asked(Acknowledge(LEAD, CREW), T0 + MINUTE, claimed=claimed)
    assert world.assignment().acknowledged_at == counts
    assert step.claimed_at == (None if claimed == counts else claimed)


def test_of_a_late_entry_a_partner_is_believed_only_by_right() -> None:
    world = given_out(retrospective=True, filed_at=LONG_AGO)
    world.asked(Acknowledge(LEAD, CREW), T0 + MINUTE, claimed=T0 - 89 * HOUR, believed=False)
    assert world.assignment().acknowledged_at == T0 + MINUTE


def test_what_has_begun_on_the_scene_is_not_returned() -> None:
    world = acknowledged()
    [end] = world.asked(Return(LEAD, CREW, "the street is the county's"))
    assert (end.outcome, end.reason) == ("returned", "the street is the county's")
    begun = acknowledged()
    begun.asked(Arrive(LEAD, CREW))
    assert refused(begun, Return(LEAD, CREW, "too much work")) == "return.begun"


def test_an_end_names_all_who_did_it_and_the_one_who_says_so() -> None:
    world = acknowledged()
    [end] = world.asked(Resolve(LEAD, CREW, handled_by=("water:7", "water:8")), who="water:desk")
    assert end.handled_by == ("li", "water:desk", "water:7", "water:8")
    assert world.assignment().handled_by == end.handled_by


def test_a_remark_is_the_units_or_the_centres_and_nobody_elses() -> None:
    world = acknowledged()
    assert [note.unit for note in world.asked(Note(LEAD, CENTRE, "the district asks"), who="dispatcher")] == [None]
    assert [note.unit for note in world.asked(Note(LEAD, CREW, "the valve is stuck"))] == ["dept:water"]
    both = By(frozenset({"dept:water"}), centre=True)
    assert [note.unit for note in world.asked(Note(LEAD, both, "on it"))] == ["dept:water"]
    assert world.assignment().handled_by == ("li",)


EVE = By(frozenset({"dept:nothing"}), partner="eve")
STRANGE: list[Command] = [
    Acknowledge(LEAD, EVE),
    SetOut(LEAD, EVE),
    Arrive(LEAD, EVE),
    Note(LEAD, EVE, "what is it?"),
    RequestExtension(LEAD, EVE, "mine"),
    HandOn(LEAD, EVE, "dept:fire", "mine"),
    Return(LEAD, EVE, "mine"),
    Resolve(LEAD, EVE),
]


def test_no_more_people_act_on_an_assignment_than_its_end_can_name() -> None:
    world = acknowledged()
    for n in range(49):
        world.asked(Note(LEAD, CREW, "here"), who=f"helper {n}")
    assert refused(world, Note(LEAD, CREW, "here"), who="one more") == "assignment.handlers"
    assert refused(world, RequestExtension(LEAD, CREW, "no pipe"), who="one more") == "assignment.handlers"
    [end] = world.asked(Resolve(LEAD, CREW, handled_by=tuple(f"crew {n}" for n in range(40))), who="one more")
    assert len(end.handled_by) == 91


def test_remarks_keep_nobody_from_taking_an_assignment_on_and_ending_it() -> None:
    world = given_out()
    for n in range(50):
        world.asked(Note(LEAD, CREW, "here"), who=f"helper {n}")
    world.passed(T0 + 10 * MINUTE)
    for step in (Acknowledge(LEAD, STREETS), SetOut(LEAD, STREETS), Arrive(LEAD, STREETS), Resolve(LEAD, STREETS)):
        assert world.asked(step, T0 + 11 * MINUTE, who=f"street {type(step).__name__}")


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: type(strange).__name__)
def test_a_strange_partner_hears_nothing_of_an_assignment(strange: Command) -> None:
    """Whose it is, how far it has come, whether it has ended, how and when: a refusal says none of it."""
    words = set()
    for so_far in ([], [Arrive(LEAD, CREW)], [Resolve(LEAD, CREW)]):
        world = acknowledged()
        for step in so_far:
            world.asked(step)
        with pytest.raises(Refused) as caught:
            world.asked(strange, who="eve")
        words.add((caught.value.rule, str(caught.value)))
    assert words == {("assignment.unit", "the assignment is neither given nor offered to a unit of the caller")}


@pytest.mark.parametrize("by", [CREW, FIRE, CENTRE, By()], ids=["own unit", "other unit", "centre", "no unit"])
def test_with_an_assignment_that_has_ended_nobody_does_anything(by: By) -> None:
    world = acknowledged()
    world.asked(Resolve(LEAD, CREW))
    found = actions(by, world.assignment(), world.inputs(T0 + HOUR, "anybody"), RULES)
    assert {refused and refused.rule for refused in found.values()} == {"assignment.ended"}


def test_an_acceptor_remarks_for_the_centre_and_hands_nothing_on() -> None:
    world = acknowledged()
    acceptor = By(acceptor=True)
    assert [note.unit for note in world.asked(Note(LEAD, acceptor, "they call again"), who="wang")] == [None]
    assert refused(world, HandOn(LEAD, acceptor, GRID, "near")) == "assignment.unit"


def test_a_unit_with_nobody_below_hands_nothing_on_whatever_is_entered() -> None:
    found = actions(CREW, acknowledged().assignment(), World().inputs(T0 + MINUTE, "li"), RULES)
    assert str(found[HandOn]) == "no unit is below dept:water"


def test_urging_has_a_cooldown_and_a_cap_for_the_local_day() -> None:
    world = acknowledged(assignment(1, "dept:water", resolve_by=T0 + 90 * HOUR))
    for n in range(3):
        [urged] = world.asked(Urge(LEAD, CENTRE, "calls every minute"), T0 + n * HOUR)
        assert (urged.count, urged.unit) == (n + 1, "dept:water")
        assert refused(world, Urge(LEAD, CENTRE), T0 + n * HOUR + 29 * MINUTE) == "urge.cooldown"
    assert refused(world, Urge(LEAD, CENTRE), T0.replace(hour=15, minute=59)) == "urge.daily_cap"
    assert world.asked(Urge(LEAD, CENTRE), T0.replace(hour=16))  # midnight in Shanghai


def test_supervision_only_rises_and_demands_replies_only_by_a_time_to_come() -> None:
    world = given_out()
    [fact] = world.asked(Supervise(LEAD, CENTRE, 2, "ordered", T0 + HOUR))
    assert steps([fact]) == [("supervised", LEAD, 2)]
    assert refused(world, Supervise(LEAD, CENTRE, 1, "less")) == "supervise.level"
    assert refused(world, Supervise(LEAD, CENTRE, 3, "reply", T0)) == "supervise.reply_by"


def test_a_granted_extension_moves_the_deadline_as_the_plan_says_and_twice_at_most() -> None:
    world = acknowledged()
    for n in (1, 2):
        [wish] = world.asked(RequestExtension(LEAD, CREW, "no pipe"))
        assert (wish.count, wish.due_at) == (n, T0 + (n + 1) * 4 * HOUR)
        assert refused(world, RequestExtension(LEAD, CREW, "no pipe")) == "extension.pending"
        world.asked(DecideExtension(LEAD, CENTRE, granted=True), who="dispatcher")
        assert world.assignment().resolve_by == T0 + (n + 1) * 4 * HOUR
    assert refused(world, RequestExtension(LEAD, CREW, "no pipe")) == "extension.limit"
    [end] = world.asked(Resolve(LEAD, CREW), T0 + 11 * HOUR)
    assert (end.extensions, end.resolve_by, end.late_by_seconds) == (2, T0 + 12 * HOUR, 0)


def test_a_refused_extension_does_not_count() -> None:
    world = acknowledged()
    for _ in range(3):
        world.asked(RequestExtension(LEAD, CREW, "no pipe"))
        assert steps(world.asked(DecideExtension(LEAD, CENTRE, granted=False, reason="there is one"), who="d")) == [
            ("extension_refused", LEAD, None)
        ]
    assert (world.assignment().extensions, world.assignment().resolve_by) == (0, T0 + 4 * HOUR)


def test_an_extension_is_asked_for_before_it_is_overdue_and_decided_by_somebody_else() -> None:
    world = acknowledged()
    assert refused(world, DecideExtension(LEAD, CENTRE, granted=True), who="dispatcher") == "extension.none"
    assert refused(world, RequestExtension(LEAD, CREW, "no pipe"), T0 + 4 * HOUR) == "extension.overdue"
    world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + 4 * HOUR - MINUTE)
    assert refused(world, DecideExtension(LEAD, CENTRE, granted=True), T0 + 4 * HOUR, who="li") == "extension.self"


@pytest.mark.parametrize(
    ("ruling", "reason"),
    [
        (Withdrawn(reason="it has stopped"), "the case is closed as withdrawn: it has stopped"),
        (Rejected(why="not_ours", reason="private ground"), "the case is closed as not_ours: private ground"),
        (merged(into=OTHER), f"the case is closed as duplicate: merged into {OTHER}"),
    ],
    ids=["withdrawn", "rejected", "merged"],
)
def test_what_is_open_is_cancelled_when_triage_takes_the_case_back(ruling: Fact, reason: str) -> None:
    world = acknowledged()
    world.asked(Resolve(SUPPORT, FIRE))
    [end] = world.took(ruling, T0 + HOUR)
    assert (end.assignment_id, end.outcome, end.reason) == (LEAD, "cancelled", reason)
    assert world.took(ruling, T0 + HOUR) == []


def test_a_withdrawal_that_is_not_followed_leaves_the_work_as_it_is() -> None:
    world = acknowledged()
    assert world.took(Upheld(reason="the road is still open")) == ()
    assert len(world.state.open_assignments) == 2


@pytest.mark.parametrize("verdict_first", [False, True])
def test_a_closed_case_has_no_open_work_whichever_comes_first(verdict_first: bool) -> None:
    world = World()
    facts: list[Fact] = [dispatched(), Evaluated(verdict="closed", outcome="forced", reason="by the leader")]
    for fact in reversed(facts) if verdict_first else facts:
        world.took(fact, T0 + HOUR)
    assert steps(world.own) == [("cancelled", LEAD, None), ("cancelled", SUPPORT, None)]
    assert {end.reason for end in world.own} == {"the case is closed as forced: by the leader"}
    assert (world.state.open_assignments, world.state.standing.status) == ([], "closed")


def test_a_verdict_of_rework_cancels_nothing() -> None:
    world = acknowledged()
    assert world.took(Evaluated(verdict="rework", failed=(LEAD,))) == ()
    assert len(world.state.open_assignments) == 2


def test_a_later_round_opens_more_and_leaves_what_was_done() -> None:
    world = acknowledged()
    world.asked(Return(LEAD, CREW, "not ours"))
    again = assignment(1, "street:CH/shengdeng", of_round=2, replaces=LEAD)
    world.took(dispatched(again, of_round=2, because="returned"))
    assert [one.plan.id for one in world.state.open_assignments] == [SUPPORT, again.id]
    assert world.assignment().end is not None
    assert world.state.ruling is not None
    assert world.state.ruling.round == 2


def test_a_plan_that_says_an_assignment_again_does_not_open_it_again() -> None:
    world = acknowledged()
    before = dict(world.state.assignments)
    world.took(dispatched(assignment(1, "dept:other"), assignment(2, "dept:fire")))
    assert world.state.assignments == before


def test_what_dispatch_does_not_read_is_unfit_and_folds_to_nothing() -> None:
    world = given_out()
    event, _ = event_of(CASE, report("water"))
    assert isinstance(DECIDER.react(event, world.state, world.inputs(T0)), Unfit)
    after = DECIDER.evolve(world.state, event)
    assert (after.assignments, after.supplements) == (world.state.assignments, ())


def test_the_case_is_shown_as_far_as_its_newest_open_lead_has_come() -> None:
    world = given_out(assignment(1, "dept:water"))
    shown = [world.state.standing.status]
    for step in (Acknowledge(LEAD, CREW), SetOut(LEAD, CREW), Arrive(LEAD, CREW), Resolve(LEAD, CREW)):
        world.asked(step)
        shown.append(world.state.standing.status)
    world.took(Evaluated(verdict="closed", outcome="fixed"))
    assert [*shown, world.state.standing.status] == [
        "dispatched",
        "acknowledged",
        "en_route",
        "on_scene",
        "fixed",
        "closed",
    ]
    back = given_out(assignment(1, "dept:water"))
    back.asked(Return(LEAD, CREW, "not ours"))
    assert back.state.standing.status == "filed"


def of_a_unit(roles: frozenset[str]) -> bool:
    return roles >= UNITS


def test_everything_a_units_person_may_do_over_http_a_partners_system_may_say() -> None:
    over_http = {
        path.rpartition("/")[2].replace("-", "_")
        for (method, path), access in ROLES.items()
        if method == "POST" and of_a_unit(access.roles)
    }
    assert {kind.model_fields["kind"].default for kind in COMMANDS} == over_http
    assert len(set(COMMANDS.values())) == len(COMMANDS)


WATER = Partner(id="water", name="water", units=("dept:water",), says=("steps",))
SYSTEM = By(frozenset({"dept:water"}), partner="water")
ASKED: list[tuple[Any, Command]] = [
    (request.Acknowledge(assignment_id=LEAD), Acknowledge(LEAD, SYSTEM)),
    (request.SetOut(assignment_id=LEAD), SetOut(LEAD, SYSTEM)),
    (request.Arrive(assignment_id=LEAD), Arrive(LEAD, SYSTEM)),
    (request.Note(assignment_id=LEAD, note="stuck"), Note(LEAD, SYSTEM, "stuck")),
    (request.RequestExtension(assignment_id=LEAD, reason="no pipe"), RequestExtension(LEAD, SYSTEM, "no pipe")),
    (request.HandOn(assignment_id=LEAD, unit=GRID, reason="near"), HandOn(LEAD, SYSTEM, GRID, "near")),
    (request.Return(assignment_id=LEAD, reason="not ours"), Return(LEAD, SYSTEM, "not ours")),
    (
        request.Resolve(assignment_id=LEAD, note="mended", handled_by=("7", "8")),
        Resolve(LEAD, SYSTEM, "mended", (), ("water:7", "water:8")),
    ),
]


@pytest.mark.parametrize(("said", "meant"), ASKED, ids=[type(said).__name__ for said, _ in ASKED])
def test_what_a_partner_says_is_the_command_of_its_units(said: Any, meant: Command) -> None:
    assert command(event_of(CASE, said)[0], WATER) == meant


def test_each_request_is_tried_and_reports_are_left_to_intake() -> None:
    assert {type(said) for said, _ in ASKED} == set(COMMANDS)
    assert command(event_of(CASE, request.AddSupplement(text="more"))[0], WATER) is None

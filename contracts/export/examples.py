"""The reference scenario: a burst water main on Shuangqiao Road, and the smaller cases of the same day.

    main        reported by a grid member; water company, street centre, fire brigade and drainage; a failed check

    and in other_cases.py
    neighbour   the same, reported through the hotline, and merged
    fire-lane   reported through the hotline, withdrawn
    smoke       reported through the hotline; its withdrawal is not followed
    cable       verified before it is filed, returned twice, ruled on by a person
    lamp        not reproducible

The hotline and the fire brigade are partners with systems of their own: they write `from.hotline` and `from.fire`, and
read `to.hotline` and `to.fire`. Together the records are a complete history: no number is missing, everything but the
first report of a case has its cause, each request its answer, and every case ends.
"""

from collections.abc import Sequence
from typing import Any

from contracts.dispatch import Resolved
from contracts.export.cast import (
    BURST_MAIN,
    CHECKER,
    COLLECTOR,
    COMMUNITY,
    DISTRICT,
    LEADER,
    MAIN_PLACE,
    STREET,
    Words,
    assignment,
    because,
    dispatched,
    notice_of,
    photo,
)
from contracts.export.other_cases import other_cases
from contracts.export.story import Case, Example, Said, Story, at
from contracts.feedback import Evaluated, Score
from contracts.fields import Fact
from contracts.intake import NewReport, Reopening, Supplement
from contracts.notice import (
    ClosureNotice,
    ExtensionNotice,
    ExtensionRefusalNotice,
    SupervisionNotice,
    SupplementNotice,
    UrgeNotice,
)
from contracts.progress import (
    Acknowledged,
    Checking,
    EnRoute,
    Escalated,
    EscalationFailed,
    Extended,
    ExtensionRefused,
    ExtensionRequested,
    Failed,
    HandedOn,
    NearlyDue,
    Noted,
    OnScene,
    Overdue,
    Supervised,
    Urged,
    Verified,
)
from contracts.request import Acknowledge, Arrive, Note, RequestExtension, Resolve, SetOut
from contracts.triage import Assignment, Dispatched

_WATER, _FIRE, _DRAINAGE = "dept:water", "dept:fire", "dept:drainage"
_PUMP, _CAPTAIN = "person:water-dispatcher-3", "captain-2"
_REPAIR, _PUMPING = "关阀止水，抢修管道，恢复供水", "抽排路面和地下车库积水"
_BY, _EXTENDED = at("21:12:08"), at("10 09:12:08")
"""When the first round's work is due, and when it is after an extension."""


def scenario() -> Sequence[Example]:
    """All events of the story, as they were recorded."""
    told = Story()
    main = told.case("main", "09:12:07")
    plan = _reported(told, main)
    _brought_water(told, main, plan)
    _passed_on(told, main, plan)
    _overdue(told, main, plan)
    mended = _mended(told, main, plan)
    closed = _checked(told, main, mended)
    other_cases(told, main, closed)
    return told.examples()


def _reported(told: Story, main: Case) -> Said:
    """The report, and the first round: four units at once."""
    report = NewReport(
        channel="handset",
        reporter_ref=COLLECTOR,
        title="双桥路地铁工地挖断供水主管，路面大量涌水",
        text="约四千户停水，路面积水，需要关阀抢修、入户解释和应急送水。",
        category=BURST_MAIN.category,
        place=MAIN_PLACE,
        attachments=(photo("burst"),),
        base_records=("facility:water-main-dn600-17",),
    )
    filed = told.fact("09:12:07", "intake", main, report, actor=COLLECTOR)
    units = (
        (_WATER, _REPAIR),
        (STREET, "组织网格员进院落解释安抚，登记困难家庭"),
        (_FIRE, "出动水罐车为停水居民送水"),
        (_DRAINAGE, _PUMPING),
    )
    work = [
        assignment(BURST_MAIN, main.assignment(f"1.{number}"), unit, task, "09:12:08")
        for number, (unit, task) in enumerate(units, 1)
    ]
    rules = "category given by a grid member", "supports: street, fire brigade, drainage"
    plan = told.fact("09:12:08", "triage", main, _round(1, "first", work, *rules), cause=filed)
    supplement = Supplement(reporter_ref=COLLECTOR, text="积水已漫入地下车库入口。", attachments=(photo("garage"),))
    more = told.fact("09:21:30", "intake", main, supplement, cause=filed, actor=COLLECTOR)
    heard = SupplementNotice(to="fire", text=supplement.text, attachments=supplement.attachments)
    told.fact("09:21:31", "dispatch", main, heard, cause=more)
    return plan


def _brought_water(told: Story, main: Case, plan: Said) -> None:
    """What the fire brigade does, from its own system."""
    ours: Words = {"assignment_id": main.assignment("1.3"), "unit": _FIRE}
    this: Words = {"assignment_id": main.assignment("1.3")}
    given = told.fact("09:12:08", "dispatch", main, notice_of(plan, "1.3", to="fire"), cause=plan)

    def asks(when: str, what: type[Fact], **words: Any) -> Said:
        return told.request(when, "fire", main, what(**this, **words), cause=given, actor=_CAPTAIN)

    told.take(asks("09:13:00", Acknowledge), "dispatch", Acknowledged(**ours, due_at=_BY))
    told.take(asks("09:16:00", SetOut), "dispatch", EnRoute(**ours))
    there = told.take(asks("09:24:00", Arrive), "dispatch", OnScene(**ours))
    remark = "六台水罐车已就位，先供医院和养老院。"
    told.take(asks("10:05:00", Note, note=remark), "dispatch", Noted(**ours, note=remark))

    watch: Words = {"level": 1, "reason": "养老院断水"}
    watched = told.fact("11:00:00", "dispatch", main, Supervised(**ours, **watch), cause=there, actor=LEADER)
    told.fact("11:00:00", "dispatch", main, SupervisionNotice(to="fire", **this, **watch), cause=watched)
    hurry: Words = {"reason": "老人等水用药", "count": 1}
    urged = told.fact("12:40:00", "dispatch", main, Urged(**ours, **hurry), cause=there, actor="reporter:5d1f0c")
    told.fact("12:40:00", "dispatch", main, UrgeNotice(to="fire", **this, **hurry), cause=urged)

    more: Words = {"count": 1, "due_at": _EXTENDED}
    asked = asks("17:30:00", RequestExtension, reason="取水点远")
    first = told.take(asked, "dispatch", ExtensionRequested(**ours, **more, reason="取水点远"))
    no = ExtensionRefused(**ours, reason="就近消火栓可用", due_at=_BY)
    refused = told.fact("17:45:00", "dispatch", main, no, cause=first, actor=LEADER)
    answer = ExtensionRefusalNotice(to="fire", **this, reason=no.reason, resolve_by=_BY)
    told.fact("17:45:00", "dispatch", main, answer, cause=refused)
    asked = asks("18:00:00", RequestExtension, reason="管网降压，消火栓出水不足")
    again = told.take(asked, "dispatch", ExtensionRequested(**ours, **more, reason="管网降压，消火栓出水不足"))
    granted = told.fact("18:10:00", "dispatch", main, Extended(**ours, **more), cause=again, actor=LEADER)
    told.fact("18:10:00", "dispatch", main, ExtensionNotice(to="fire", **this, resolve_by=_EXTENDED), cause=granted)

    done = asks("20:30:00", Resolve, note="六台水罐车，供水 42 吨", handled_by=("captain-2", "driver-6"))
    end = Resolved(
        **ours, outcome="fixed", note="六台水罐车，供水 42 吨", handled_by=("fire:captain-2", "fire:driver-6"),
        acknowledged_at=at("09:13:01"), arrived_at=at("09:24:01"), resolve_by=_EXTENDED, late_by_seconds=0,
        extensions=1, urged=1, supervised=True,
    )  # fmt: skip
    told.take(done, "dispatch", end)


def _passed_on(told: Story, main: Case, plan: Said) -> None:
    """The water on the road: returned, given to the centre, which does not answer, and placed by the shift leader."""
    why = "围挡内积水归施工单位抽排，不属我方管养"
    end = Resolved(
        assignment_id=main.assignment("1.4"), unit=_DRAINAGE, outcome="returned", reason=why,
        resolve_by=_BY, late_by_seconds=0, handled_by=("person:drainage-duty-1",),
    )  # fmt: skip
    returned = told.fact("09:26:00", "dispatch", main, end, cause=plan, actor="person:drainage-duty-1")
    again = assignment(
        BURST_MAIN, main.assignment("2.1"), DISTRICT, _PUMPING, "09:26:01", lead=False,
        replaces=main.assignment("1.4"), escalated_to=(),
    )  # fmt: skip
    rule = f"returned by {_DRAINAGE}: {DISTRICT} is the next unit above it"
    given = told.fact("09:26:01", "triage", main, _round(2, "returned", [again], rule), cause=returned)

    this: Words = {"assignment_id": again.id}
    nobody = EscalationFailed(**this, unit=DISTRICT, because="not_acknowledged", level=1, due_at=again.acknowledge_by)
    failed = told.fact("09:31:01", "dispatch", main, nobody, cause=given, actor="clock")
    ours: Words = {**this, "unit": COMMUNITY}
    order = HandedOn(**ours, reason="由社区先行抽排，费用后议", due_at=at("09:55:00"))
    placed = told.fact("09:50:00", "dispatch", main, order, cause=failed, actor=LEADER)
    taken = Acknowledged(**ours, due_at=again.resolve_by)
    who = "person:community-duty-1"
    taken_on = told.fact("09:52:00", "dispatch", main, taken, cause=placed, actor=who)
    dry = Resolved(
        **ours, outcome="fixed", handled_by=(who,), acknowledged_at=at("09:52:00"),
        resolve_by=again.resolve_by, late_by_seconds=0,
    )  # fmt: skip
    told.fact("21:00:00", "dispatch", main, dry, cause=taken_on, actor=who)


def _overdue(told: Story, main: Case, plan: Said) -> None:
    """The street centre is late, and its superior hears of it."""
    ours: Words = {"assignment_id": main.assignment("1.2"), "unit": STREET}
    who = "person:street-duty-4"
    taken = told.fact("09:14:00", "dispatch", main, Acknowledged(**ours, due_at=_BY), cause=plan, actor=who)
    late = told.fact("21:12:08", "dispatch", main, Overdue(**ours, due_at=_BY), cause=plan, actor="clock")
    above = Escalated(assignment_id=ours["assignment_id"], unit=DISTRICT, level=1, due_at=_BY)
    told.fact("21:12:08", "dispatch", main, above, cause=late, actor="clock")
    end = Resolved(
        **ours, outcome="fixed", note="入户 4012 户，登记困难家庭 31 户", handled_by=(COLLECTOR, who),
        acknowledged_at=at("09:14:00"), resolve_by=_BY, late_by_seconds=1672,
    )  # fmt: skip
    told.fact("21:40:00", "dispatch", main, end, cause=taken, actor=who)


def _mended(told: Story, main: Case, plan: Said) -> Said:
    """The water company repairs the main, under supervision and with an extension."""
    ours: Words = {"assignment_id": main.assignment("1.1"), "unit": _WATER}
    order = Supervised(**ours, level=2, reason="影响四千户", reply_by=at("10:00:00"))
    told.fact("09:14:00", "dispatch", main, order, cause=plan, actor=LEADER)
    taken = told.fact("09:15:10", "dispatch", main, Acknowledged(**ours, due_at=_BY), cause=plan, actor=_PUMP)
    gone = told.fact("09:20:00", "dispatch", main, EnRoute(**ours), cause=taken, actor=_PUMP)
    there = told.fact("09:31:00", "dispatch", main, OnScene(**ours), cause=gone, actor=_PUMP)
    told.fact("18:48:08", "dispatch", main, NearlyDue(**ours, due_at=_BY), cause=plan, actor="clock")
    more: Words = {"count": 1, "due_at": _EXTENDED, "reason": "管沟塌方"}
    asked = told.fact("20:10:00", "dispatch", main, ExtensionRequested(**ours, **more), cause=taken, actor=_PUMP)
    told.fact("20:15:00", "dispatch", main, Extended(**ours, **more), cause=asked, actor=LEADER)
    end = Resolved(
        **ours, outcome="fixed", handled_by=(_PUMP,), evidence=(photo("repaired"),),
        acknowledged_at=at("09:15:10"), arrived_at=at("09:31:00"), resolve_by=_EXTENDED, late_by_seconds=0,
        extensions=1, supervised=True,
    )  # fmt: skip
    return told.fact("10 05:40:00", "dispatch", main, end, cause=there, actor=_PUMP)


def _checked(told: Story, main: Case, mended: Said) -> Said:
    """The check fails, the work is done again, and the case closes."""
    due = at("10 07:40:00")
    waiting = told.fact("10 05:40:01", "feedback", main, Checking(due_at=due), cause=mended)
    bad = Failed(reason="六号院仍无水", evidence=(photo("tap"),))
    failed = told.fact("10 06:30:00", "feedback", main, bad, cause=waiting, actor=CHECKER)
    back = Evaluated(
        verdict="rework", reason=bad.reason, failed=(main.assignment("1.1"),), checked_by=CHECKER,
        due_at=due, reworks=1,
    )  # fmt: skip
    sent_back = told.fact("10 06:30:00", "feedback", main, back, cause=failed, actor=CHECKER)

    same = assignment(
        BURST_MAIN, main.assignment("3.1"), _WATER, _REPAIR, "10 06:30:01", replaces=main.assignment("1.1")
    )
    rule = "check failed: same unit, same task"
    plan = told.fact("10 06:30:01", "triage", main, _round(3, "rework", [same], rule), cause=sent_back)
    ours: Words = {"assignment_id": same.id, "unit": _WATER}
    taken = Acknowledged(**ours, due_at=same.resolve_by)
    taken_on = told.fact("10 06:33:00", "dispatch", main, taken, cause=plan, actor=_PUMP)
    end = Resolved(
        **ours, outcome="fixed", handled_by=(_PUMP,), acknowledged_at=at("10 06:33:00"),
        resolve_by=same.resolve_by, late_by_seconds=0,
    )  # fmt: skip
    done = told.fact("10 08:10:00", "dispatch", main, end, cause=taken_on, actor=_PUMP)

    waiting = told.fact("10 08:10:01", "feedback", main, Checking(due_at=at("10 10:10:01")), cause=done)
    good = Verified(note="逐户开龙头，水压正常", evidence=(photo("water"),))
    found = told.fact("10 08:50:00", "feedback", main, good, cause=waiting, actor=CHECKER)
    end_of_case = Evaluated(
        verdict="closed", outcome="fixed", checked_by=CHECKER, due_at=at("10 10:10:01"), late_by_seconds=0, reworks=1,
        scores=(Score(formula="on_time.v1", value=1), Score(formula="rework.v1", value=0.5, unit=_WATER)),
    )  # fmt: skip
    closed = told.fact("10 08:50:00", "feedback", main, end_of_case, cause=found, actor=CHECKER)
    told.fact("10 08:50:01", "dispatch", main, ClosureNotice(to="fire", outcome="fixed"), cause=closed)
    again = Reopening(reporter_ref=COLLECTOR, verdict_id=closed.id, reason="四号院水又停了")
    told.fact("10 18:05:00", "intake", main, again, cause=closed, actor=COLLECTOR)
    return closed


def _round(number: int, why: str, plan: Sequence[Assignment], *rules: str) -> Dispatched:
    return dispatched(
        BURST_MAIN, plan, number, why, filed="09:12:07", place=MAIN_PLACE,
        title="双桥路地铁工地挖断供水主管，路面大量涌水",
        text="约四千户停水，路面积水，需要关阀抢修、入户解释和应急送水。",
        attachments=(photo("burst"),), explanation=because(*rules),
    )  # fmt: skip

"""The smaller cases beside the burst main: merged, withdrawn, upheld, returned twice, not reproducible."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from contracts.causes import label
from contracts.dispatch import Resolved
from contracts.export.cast import (
    AREA,
    BLOCKED_LANE,
    BURST_MAIN,
    CHECKER,
    COLLECTOR,
    COMMUNITY,
    DISTRICT,
    HAZARD,
    LEADER,
    MAIN_PLACE,
    STREET,
    Words,
    assignment,
    because,
    dispatched,
    notice_of,
)
from contracts.export.story import Case, Said, Story, at
from contracts.feedback import CaseOutcome, Evaluated
from contracts.fields import Place, Point
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.notice import (
    CancellationNotice,
    ChangeNotice,
    ClosureNotice,
    OutcomeNotice,
    RefusalNotice,
    RulingNotice,
    SupplementNotice,
)
from contracts.progress import (
    Accessed,
    Acknowledged,
    AwaitingRuling,
    Checking,
    CheckOverdue,
    Discarded,
    Disclosed,
    Forged,
    HandedOn,
    Joined,
    Offered,
    OnScene,
    Refused,
    Retried,
    RulingOverdue,
    Supplemented,
    Verified,
    VerifiedBeforeFiling,
    Verifying,
)
from contracts.request import (
    Acknowledge,
    AddSupplement,
    Arrive,
    FileReport,
    HandOn,
    Rate,
    Reopen,
    ReportedPlace,
    Resolve,
    Return,
    Withdraw,
)
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn

_AGENT, _CAPTAIN = "agent-12", "captain-2"
_FIRE, _STATION = "dept:fire", "dept:fire-station-5"
_GRID = f"grid:{AREA}"
_BACKUPS = tuple(f"member:shuangqiaolubei-g001-{number}" for number in range(1, 6))
"""The grid's members; the last of them is on duty at the weekend."""


_CABLE_TITLE = "楼道私拉电线给电瓶车充电"
_CABLE_PLACE = Place(point=Point(lat=30.6479, lon=104.1097), address="双桥路 102 号院 3 栋", area=AREA)


def other_cases(told: Story, main: Case, closed: Said) -> None:
    """All of them. The neighbour's report is merged into `main`, of which `closed` is the end."""
    ruled = _merged(told, main, closed)
    _withdrawn(told)
    _upheld(told)
    _meddled(told, ruled, _returned_twice(told))
    _not_reproducible(told)


def _of_hotline(call: str, name: str) -> Case:
    """A case that begins with a partner's request: its id is made from the partner's own number."""
    return Case(str(uuid5(NAMESPACE_URL, f"/partners/hotline/{call}")), name)


def _called_in(told: Story, when: str, case: Case, request: FileReport) -> Said:
    """A report from the hotline, taken by intake; returns intake's fact."""
    asked = told.request(when, "hotline", case, request, actor=_AGENT)
    shared = request.model_dump(exclude={"kind", "place"})
    place = Place(**request.place.model_dump(exclude={"area"}), area=AREA)
    return told.take(asked, "intake", NewReport(**shared, reported_by="hotline", place=place))


def _ruled(told: Story, ruling: Said, reason: str | None = None) -> Said:
    """intake tells the hotline how triage ruled."""
    assert isinstance(ruling.data, Dispatched | Merged | Rejected | Withdrawn | Upheld)
    notice = RulingNotice(to="hotline", ruling=ruling.data.ruling, reason=reason)
    return told.fact(ruling.at, "intake", ruling.case, notice, cause=ruling)


def _merged(told: Story, main: Case, closed: Said) -> Said:
    """A second report of the burst main: its words reach who works on the first, its reporter hears of the first's end.

    Returns what the hotline was told of the ruling.
    """
    case = _of_hotline("call-4711", "neighbour")
    report = FileReport(
        channel="hotline",
        reporter_ref="caller:5d1f0c",
        title="家里突然没水了，楼下马路全是水",
        place=ReportedPlace(point=Point(lat=30.6482, lon=104.1079), address="双桥路 88 号"),
        external_ref="call-4711",
    )
    filed = _called_in(told, "09:16:40", case, report)
    same = Merged(
        into=main.id,
        category=BURST_MAIN.category,
        area=AREA,
        said=report.title,
        explanation=because("same category 73 m away, filed 5 minutes ago (radius 800 m, window 24 hours)"),
    )
    merged = told.fact("09:16:42", "triage", case, same, cause=filed)
    ruled = _ruled(told, merged)
    joined = told.fact("09:16:43", "dispatch", main, Joined(case_id=case.id, count=1, said=same.said), cause=merged)
    changed = ChangeNotice(to="fire", assignment_id=main.assignment("1.3"), joined=1, said=same.said)
    told.fact("09:16:43", "dispatch", main, changed, cause=joined)
    _closed_by_rule(told, "09:16:43", case, merged, "duplicate")

    more = AddSupplement(text="三单元有位透析病人，急需用水。")
    asked = told.request("09:25:00", "hotline", case, more, cause=ruled, actor=_AGENT)
    added = told.take(asked, "intake", Supplement(text=more.text))
    heard = told.fact(
        "09:25:02", "dispatch", main, Supplemented(case_id=case.id, supplement_id=added.id, text=more.text), cause=added
    )
    told.fact("09:25:02", "dispatch", main, SupplementNotice(to="fire", text=more.text), cause=heard)
    told.fact("10 08:50:01", "intake", case, OutcomeNotice(to="hotline", outcome="fixed"), cause=closed)
    return ruled


def _withdrawn(told: Story) -> None:
    """A blocked fire lane: the car is gone before anybody comes."""
    case = _of_hotline("call-4730", "fire-lane")
    report = FileReport(
        channel="hotline",
        reporter_ref="caller:77",
        title="小区消防通道被私家车堵死",
        place=ReportedPlace(address="双桥路 102 号院"),
        external_ref="call-4730",
    )
    filed = _called_in(told, "11:05:00", case, report)
    lead = assignment(BLOCKED_LANE, case.assignment("1.1"), _FIRE, "责令立即清除，必要时强制清除", "11:05:02")
    police = assignment(BLOCKED_LANE, case.assignment("1.2"), "dept:police", "通知车主挪车，拖移", "11:05:02")
    grid = assignment(
        BLOCKED_LANE, case.assignment("1.3"), _GRID, "劝导清理，留存现场照片", "11:05:02", member=_BACKUPS[-1],
        backups=_BACKUPS[:-1], escalated_to=(COMMUNITY, STREET, DISTRICT),
    )  # fmt: skip
    round_ = dispatched(
        BLOCKED_LANE, [lead, police, grid], 1, "first", filed="11:05:01", title=report.title,
        place=Place(address="双桥路 102 号院", area=AREA), explanation=because("keywords 消防通道 (8)"),
    )  # fmt: skip
    plan = told.fact("11:05:02", "triage", case, round_, cause=filed)
    ruled = _ruled(told, plan)
    told.fact("11:05:02", "dispatch", case, notice_of(plan, "1.1", to="fire"), cause=plan)
    more = Offered(assignment_id=grid.id, unit=_GRID, to=grid.backups, level=1, due_at=at("11:15:02"))
    told.fact("11:10:02", "dispatch", case, more, cause=plan, actor="clock")

    asked = told.request("11:12:00", "hotline", case, Withdraw(reason="车主已挪车"), cause=ruled, actor=_AGENT)
    back = told.take(asked, "intake", Withdrawal(reason="车主已挪车"))
    withdrawn = Withdrawn(reason="车主已挪车", category=round_.category, area=AREA)
    agreed = told.fact("11:12:02", "triage", case, withdrawn, cause=back)
    _ruled(told, agreed)
    for part in (lead, police, grid):
        stop = Resolved(
            assignment_id=part.id, unit=part.unit, outcome="cancelled", reason="报告人撤回", late_by_seconds=0,
            resolve_by=part.resolve_by,
        )  # fmt: skip
        cancelled = told.fact("11:12:03", "dispatch", case, stop, cause=agreed)
        if part is lead:
            gone = CancellationNotice(to="fire", assignment_id=lead.id, reason="报告人撤回")
            told.fact("11:12:03", "dispatch", case, gone, cause=cancelled)
    closed = _closed_by_rule(told, "11:12:03", case, agreed, "withdrawn")
    over = _end_is_told(told, closed)
    thanks = Rate(rating=5, comment="回应很快，谢谢。")
    asked = told.request("11:40:00", "hotline", case, thanks, cause=over, actor=_AGENT)
    rated = Rating(reporter_ref="caller:77", verdict_id=closed.id, rating=5, comment=thanks.comment, partner="hotline")
    told.take(asked, "intake", rated)


def _upheld(told: Story) -> None:
    """Smoke in a cable shaft, told by a sensor: its withdrawal is not followed, for the unit is at work on a hazard."""
    case = _of_hotline("call-4788", "smoke")
    report = FileReport(
        channel="sensor",
        title="电缆井烟感报警",
        category=HAZARD.category,
        place=ReportedPlace(point=Point(lat=30.6480, lon=104.1092)),
        external_ref="call-4788",
    )
    filed = _called_in(told, "14:00:00", case, report)
    lead = assignment(HAZARD, case.assignment("1.1"), _FIRE, "到场处置，断电后灭火", "14:00:02")
    round_ = dispatched(
        HAZARD, [lead], 1, "first", filed="14:00:01", title=report.title,
        place=Place(point=report.place.point, area=AREA), explanation=because("category given by the hotline"),
    )  # fmt: skip
    plan = told.fact("14:00:02", "triage", case, round_, cause=filed)
    ruled = _ruled(told, plan)
    given = told.fact("14:00:02", "dispatch", case, notice_of(plan, "1.1", to="fire"), cause=plan)
    resolved = _handled_by_the_station(told, case, given, plan)

    asked = told.request("14:12:00", "hotline", case, Withdraw(reason="值班员称烟已散"), cause=ruled, actor=_AGENT)
    back = told.take(asked, "intake", Withdrawal(reason="值班员称烟已散"))
    why = "隐患已核实，现场正在处置"
    upheld = told.fact("14:15:00", "triage", case, Upheld(reason=why), cause=back, actor=LEADER)
    _ruled(told, upheld, why)

    found = told.fact("14:40:02", "feedback", case, Verified(rule="rule:photo.v1"), cause=resolved)
    closed = _closed_by_rule(told, "14:40:02", case, found, "fixed")
    over = _end_is_told(told, closed)
    asked = told.request("19:20:00", "hotline", case, Reopen(reason="烟感再次报警"), cause=over, actor=_AGENT)
    told.take(asked, "intake", Reopening(verdict_id=closed.id, reason="烟感再次报警"))


def _handled_by_the_station(told: Story, case: Case, given: Said, plan: Said) -> Said:
    """One request too early, then the brigade hands the assignment to a station, which does the work."""
    this: Words = {"assignment_id": case.assignment("1.1")}
    early = told.request("14:00:20", "fire", case, Resolve(**this), cause=given, actor=_CAPTAIN)
    why: Words = {"rule": "step.order", "reason": "an assignment is acknowledged before it is resolved"}
    no = Refused(partner="fire", **this, **why)
    refused = told.fact("14:00:21", "dispatch", case, no, cause=early, actor="fire:captain-2")
    answer = RefusalNotice(to="fire", request=early.id, **why)
    told.fact("14:00:21", "dispatch", case, answer, cause=refused, actor="fire:captain-2")

    down = HandOn(**this, unit=_STATION, reason="五站最近")
    asked = told.request("14:00:40", "fire", case, down, cause=given, actor=_CAPTAIN)
    order = HandedOn(**this, unit=_STATION, by=_FIRE, reason=down.reason, due_at=at("14:15:41"))
    again = notice_of(plan, "1.1", to="fire", unit=_STATION, acknowledge_by=at("14:15:41"))
    told.take(asked, "dispatch", order, again)

    crew: Words = {"unit": _STATION, **this}
    due: Words = {"resolve_by": at("10 14:00:02")}
    asked = told.request("14:01:30", "fire", case, Acknowledge(**this), cause=given, actor="station-5")
    told.take(asked, "dispatch", Acknowledged(**crew, due_at=due["resolve_by"]))
    asked = told.request("14:09:00", "fire", case, Arrive(**this), cause=given, actor="station-5")
    told.take(asked, "dispatch", OnScene(**crew))
    asked = told.request("14:40:00", "fire", case, Resolve(**this), cause=given, actor="station-5")
    end = Resolved(
        **crew, **due, outcome="fixed", handled_by=("fire:station-5",), late_by_seconds=0,
        acknowledged_at=at("14:01:31"), arrived_at=at("14:09:01"),
    )  # fmt: skip
    return told.take(asked, "dispatch", end)


def _returned_twice(told: Story) -> Case:
    """Loose charging cables: verified before they are filed, returned by two units, and ruled on by a person."""
    case = told.case("cable", "15:00:00")
    report = NewReport(
        channel="citizen",
        reporter_ref="reporter:77c0",
        title=_CABLE_TITLE,
        category=HAZARD.category,
        place=_CABLE_PLACE,
    )
    filed = told.fact("15:00:00", "intake", case, report, actor="reporter:77c0")
    look = Verifying(
        unit=_GRID, category=HAZARD.category, area=AREA, due_at=at("15:30:00"),
        note="a citizen's report of a kind that is verified first",
    )  # fmt: skip
    looking = told.fact("15:00:01", "triage", case, look, cause=filed)
    seen = told.fact("15:12:00", "triage", case, VerifiedBeforeFiling(), cause=looking, actor=COLLECTOR)

    plan = told.fact("15:12:00", "triage", case, _cable_round(case, "15:12:00", 1, "first", _FIRE), cause=seen)
    given = told.fact("15:12:01", "dispatch", case, notice_of(plan, "1.1", to="fire"), cause=plan)
    not_ours: Words = {"reason": "未见违规用电，属社区日常清理"}
    asked = told.request(
        "15:14:00", "fire", case, Return(assignment_id=case.assignment("1.1"), **not_ours), cause=given, actor=_CAPTAIN
    )
    end = _cable_end(case, "1.1", _FIRE, outcome="returned", **not_ours)
    returned = told.take(asked, "dispatch", end)
    plan = told.fact(
        "15:14:02", "triage", case, _cable_round(case, "15:14:02", 2, "returned", DISTRICT), cause=returned
    )
    who = "person:district-duty-1"
    end = _cable_end(case, "2.1", DISTRICT, outcome="returned", reason="属街道日常管理", handled_by=(who,))
    returned = told.fact("15:18:00", "dispatch", case, end, cause=plan, actor=who)

    wait = AwaitingRuling(queue="second_return", note=f"returned by {_FIRE} and {DISTRICT}", due_at=at("15:33:01"))
    waiting = told.fact("15:18:01", "triage", case, wait, cause=returned)
    late = RulingOverdue(queue="second_return", due_at=wait.due_at)
    told.fact("15:33:01", "triage", case, late, cause=waiting, actor="clock")
    plan = told.fact(
        "15:40:00",
        "triage",
        case,
        _cable_round(case, "15:40:00", 3, "manual", STREET),
        cause=waiting,
        actor=LEADER,
    )
    again = Retried(
        parked_topic="Assigned", partition=3, offset=1187, parked_because="failed: the database was full",
        reason="space was made",
    )  # fmt: skip
    told.fact("15:42:00", "dispatch", case, again, cause=plan, actor="person:operator-1")
    ours: Words = {"assignment_id": case.assignment("3.1"), "unit": STREET}
    who = "person:street-duty-4"
    taken = Acknowledged(**ours, due_at=at("10 15:40:00"))
    taken_on = told.fact("15:45:00", "dispatch", case, taken, cause=plan, actor=who)
    done = _cable_end(case, "3.1", ours["unit"], outcome="fixed", handled_by=(who,), acknowledged_at=at("15:45:00"))
    fixed = told.fact("16:30:00", "dispatch", case, done, cause=taken_on, actor=who)

    due = at("18:30:01")
    checking = told.fact("16:30:01", "feedback", case, Checking(due_at=due), cause=fixed)
    told.fact("18:30:01", "feedback", case, CheckOverdue(due_at=due), cause=checking, actor="clock")
    found = told.fact(
        "19:00:00", "feedback", case, Verified(note="电线已拆除，楼道已清空"), cause=checking, actor=CHECKER
    )
    closed = Evaluated(verdict="closed", outcome="fixed", checked_by=CHECKER, due_at=due, late_by_seconds=0)
    end_of_case = told.fact("19:00:00", "feedback", case, closed, cause=found, actor=CHECKER)
    told.fact("19:00:01", "dispatch", case, ClosureNotice(to="fire", outcome="fixed"), cause=end_of_case)
    looked = Accessed(until=at("20:10:00"), reason="核对楼道充电隐患的处置情况")
    told.fact("19:10:00", "dispatch", case, looked, cause=plan, actor=CHECKER)
    return case


def _cable_round(case: Case, when: str, number: int, why: str, unit: str) -> Dispatched:
    above = () if unit == DISTRICT else (DISTRICT,)
    lead = assignment(
        HAZARD, case.assignment(f"{number}.1"), unit, "检查并责令整改", when, escalated_to=above,
    )  # fmt: skip
    return dispatched(
        HAZARD, [lead], number, why, filed="15:12:00", title=_CABLE_TITLE, place=_CABLE_PLACE,
        explanation=because(f"round {number}: {why}"),
    )  # fmt: skip


def _cable_end(case: Case, number: str, unit: str, **more: Any) -> Resolved:
    due = {"1.1": "10 15:12:00", "2.1": "10 15:14:02", "3.1": "10 15:40:00"}[number]
    return Resolved(assignment_id=case.assignment(number), unit=unit, resolve_by=at(due), late_by_seconds=0, **more)


def _meddled(told: Story, known: Said, others: Case) -> None:
    """The hotline adds to a case that it did not file: the answer belongs to no case."""
    words = AddSupplement(text="请优先处理。")
    asked = told.request("15:50:00", "hotline", others, words, cause=known, actor=_AGENT)
    answer = RefusalNotice(
        to="hotline", request=asked.id, case_id=others.id, rule="unknown",
        reason="there is no such case of yours",
    )  # fmt: skip
    apart = Case(str(uuid5(NAMESPACE_URL, f"{asked.source} {asked.id}")), "apart")
    told.fact("15:50:01", "intake", apart, answer, cause=asked, actor="hotline:agent-12")


def _not_reproducible(told: Story) -> None:
    """A dark street lamp that is lit when somebody looks."""
    case = told.case("lamp", "13:20:00")
    report = NewReport(channel="citizen", reporter_ref="reporter:a90b13", title="路灯不亮", place=MAIN_PLACE)
    filed = told.fact("13:20:00", "intake", case, report, actor="reporter:a90b13")
    look = Verifying(
        unit=_GRID, category="component.public-facilities.street-light", area=AREA, due_at=at("13:50:00"),
        note="a citizen's report of a kind that is verified first",
    )  # fmt: skip
    looking = told.fact("13:20:01", "triage", case, look, cause=filed)
    no = Rejected(
        why="not_reproducible",
        reason="现场核实路灯正常",
        category=look.category,
        area=AREA,
        explanation=because("a grid member looked, and did not find it"),
    )
    rejected = told.fact("13:41:00", "triage", case, no, cause=looking, actor=COLLECTOR)
    closed = _closed_by_rule(told, "13:41:01", case, rejected, "not_reproducible")
    call_back = Disclosed(reporter_ref="reporter:a90b13", purpose="回访：告知报告人现场核实的结果")
    told.fact("13:50:00", "intake", case, call_back, cause=filed, actor=LEADER)
    given_up = Discarded(
        parked_topic="Evaluated", partition=1, offset=402, parked_because="failed: the database was full",
        reason="the case is closed on triage's own word",
    )  # fmt: skip
    told.fact("13:55:00", "triage", case, given_up, cause=closed, actor="person:operator-1")
    other = "019e0bd1-6a10-7c44-9d4b-6f0e2f8b7a55"
    false = Forged(forged_topic="Assigned", partition=1, offset=731, event_id=other, because="unknown")
    told.fact("14:02:00", "triage", case, false, actor="triage")


def _closed_by_rule(told: Story, when: str, case: Case, cause: Said, outcome: CaseOutcome) -> Said:
    """The verdict that needs no person."""
    rule = getattr(cause.data, "rule", None) or f"rule:{label(cause.data)}.v1"
    verdict = Evaluated(verdict="closed", outcome=outcome, checked_by=rule)
    return told.fact(when, "feedback", case, verdict, cause=cause)


def _end_is_told(told: Story, closed: Said) -> Said:
    """To the hotline, whose report it was, and to the fire brigade, which worked on it; returns the former."""
    assert isinstance(closed.data, Evaluated)
    outcome = closed.data.outcome
    assert outcome is not None
    told.fact(closed.at, "dispatch", closed.case, ClosureNotice(to="fire", outcome=outcome), cause=closed)
    return told.fact(closed.at, "intake", closed.case, OutcomeNotice(to="hotline", outcome=outcome), cause=closed)

"""The reference scenario told in facts: a burst water main on Shuangqiao Road, and three small cases beside it.

Every fact is built as a service or a partner builds it, from fixed times and ids, so the files never change.
Read in order of `time`, they are a complete history: no sequence is missing, every cause is there, every case ends.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated, Score
from contracts.fields import Attachment, Fact, Place, Point
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged, Rejected, Withdrawn
from contracts.wire import VERSION, build

_LOCAL = timezone(timedelta(hours=8))
_AREA = "CH/shuangqiaozi/shuangqiaolubei/g003"
_PLACE = Place(point=Point(lat=30.6524, lon=104.1087), address="双桥路地铁施工围挡旁", area=_AREA)
_COLLECTOR = "member:shuangqiaolubei-g003-1"
_CHECKER = "member:shuangqiaolubei-g003-2"
_WATER = "person:water-dispatcher-3"
_LEADER = "person:shift-leader-1"


@dataclass(frozen=True)
class Example:
    """One fact of the story: its topic, what it is called, the event and its bytes."""

    topic: str
    name: str
    event: Event[Any]
    raw: bytes

    @property
    def file_name(self) -> str:
        """`<Topic>.<kind>[-<which one>].v1.json`."""
        return f"{self.topic}.{self.name}.v{VERSION}.json"


def scenario() -> Sequence[Example]:
    """All facts of the story, as they were recorded."""
    told = _Story()
    main = told.case("09:12:07")
    neighbour = told.case("09:16:40")
    _reported(told, main, neighbour)
    _worked_on(told, main)
    _checked(told, main)
    _withdrawn(told, told.case("11:05:00"))
    _not_reproducible(told, told.case("13:20:00"))
    return sorted(told.examples, key=lambda example: example.event.recordedtime)


def at(words: str) -> datetime:
    """`09:12:07` on 9 May 2026 in local time, or `10 09:12:07` on the 10th, as an instant in UTC."""
    day, _, clock = words.rpartition(" ")
    hour, minute, second = map(int, clock.split(":"))
    return datetime(2026, 5, int(day or 9), hour, minute, second, tzinfo=_LOCAL).astimezone(UTC)


@dataclass
class _Story:
    examples: list[Example] = field(default_factory=list)
    _sequences: Counter[tuple[str, str]] = field(default_factory=Counter)
    _ids: int = 0

    def case(self, when: str) -> str:
        return self._uuid(at(when))

    def tell(
        self,
        when: str,
        source: str,
        case: str,
        name: str,
        data: Fact,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Adds a fact and returns its id; it is recorded 35 ms after it happened."""
        self._sequences[source, case] += 1
        recorded = at(when) + timedelta(milliseconds=35)
        event, raw = build(
            event_id=self._uuid(recorded),
            source=source,
            subject=case,
            time=at(when),
            recorded=recorded,
            sequence=self._sequences[source, case],
            data=data,
            cause=cause,
            actor=actor,
        )
        self.examples.append(Example(event.data.topic, name, event, raw))
        return event.id

    def _uuid(self, moment: datetime) -> str:
        """A version 7 UUID (RFC 9562) whose random bits only count."""
        self._ids += 1
        milliseconds = int(moment.timestamp() * 1000)
        return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | self._ids))


def _reported(told: _Story, main: str, neighbour: str) -> None:
    report = NewReport(
        channel="handset",
        reporter_ref=_COLLECTOR,
        title="双桥路地铁工地挖断供水主管，路面大量涌水",
        text="约四千户停水，路面积水，需要关阀抢修、入户解释和应急送水。",
        category="event.emergency.water-main",
        place=_PLACE,
        attachments=(_photo("burst"),),
        base_records=("facility:water-main-dn600-17",),
    )
    filed = told.tell("09:12:07", "/services/intake", main, "new", report, actor=_COLLECTOR)
    told.tell("09:12:08", "/services/triage", main, "dispatched", _first_round(main), cause=filed)
    order = Progressed(step="supervised", unit="dept:water", level=2, reason="影响四千户", due_at=at("10:00:00"))
    told.tell("09:14:00", "/services/dispatch", main, "supervised", order, actor=_LEADER)
    second = NewReport(
        channel="citizen",
        reporter_ref="reporter:5d1f0c",
        title="家里突然没水了，楼下马路全是水",
        place=Place(point=Point(lat=30.6519, lon=104.1092), address="双桥路 88 号", area=_AREA),
    )
    other = told.tell("09:16:40", "/services/intake", neighbour, "new-second-report", second, actor="reporter:5d1f0c")
    same = Merged(
        into=main,
        category="event.emergency.water-main",
        area=_AREA,
        explanation=_because("same category 80 m away, filed 5 minutes ago (radius 800 m, window 24 hours)"),
    )
    merged = told.tell("09:16:41", "/services/triage", neighbour, "merged", same, cause=other)
    closed = Evaluated(verdict="closed", outcome="duplicate", checked_by="rule:merged.v1")
    told.tell("09:16:42", "/services/feedback", neighbour, "closed-duplicate", closed, cause=merged)
    more = Supplement(reporter_ref=_COLLECTOR, text="积水已漫入地下车库入口。", attachments=(_photo("garage"),))
    told.tell("09:21:30", "/services/intake", main, "supplement", more, actor=_COLLECTOR)


def _first_round(case: str) -> Dispatched:
    unit_and_task = (
        ("dept:water", "关阀止水，抢修管道，恢复供水"),
        ("street:CH/shuangqiaozi", "组织网格员进院落解释安抚，登记困难家庭"),
        ("dept:fire", "出动水罐车为停水居民送水"),
        ("dept:transport", "开挖并恢复车行道路面"),
    )
    plan = [
        _assignment(case, 1, number, unit, task, "09:12:08") for number, (unit, task) in enumerate(unit_and_task, 1)
    ]
    return _dispatched(
        plan, 1, "first", "category given by a grid member", "supports: street, fire brigade, carriageway"
    )


def _worked_on(told: _Story, case: str) -> None:
    triage, dispatch = "/services/triage", "/services/dispatch"
    plan = next(one.event.id for one in told.examples if one.event.subject == case and one.name == "dispatched")
    step = Progressed(step="acknowledged", assignment_id=f"{case}.1.1", unit="dept:water")
    told.tell("09:15:10", dispatch, case, "acknowledged", step, actor=_WATER)
    refusal = _ended(case, "1.4", "dept:transport", "returned", reason="围挡内路面归施工单位，不属我方管养")
    returned = told.tell("09:26:00", dispatch, case, "returned", refusal, actor="person:transport-duty-1")
    again = _assignment(case, 2, 1, "dept:housing", "开挖并恢复车行道路面", "09:26:01", replaces="1.4", lead=False)
    second = _dispatched(
        [again], 2, "returned", "returned by dept:transport: next unit competent for construction sites"
    )
    told.tell("09:26:01", triage, case, "dispatched-again", second, cause=returned)
    unheard = _ended(case, "2.1", "dept:housing", "escalated", reason="未在 5 分钟内签收")
    escalated = told.tell("09:31:02", dispatch, case, "escalated", unheard, actor="clock")
    upward = _assignment(case, 3, 1, "district:CH", "开挖并恢复车行道路面", "09:31:03", replaces="2.1", lead=False)
    third = _dispatched([upward], 3, "escalated", "no acknowledgement in time: the unit's superior")
    told.tell("09:31:03", triage, case, "dispatched-to-superior", third, cause=escalated)
    urge = Progressed(step="urged", assignment_id=f"{case}.1.1", unit="dept:water", reason="老人等水用药", count=1)
    told.tell("12:40:00", dispatch, case, "urged", urge, actor="reporter:5d1f0c")
    water = _ended(
        case, "1.3", "dept:fire", "fixed", note="六台水罐车，供水 42 吨", handled_by=("person:fire-captain-2",)
    )
    told.tell("18:02:00", "/partners/fire", case, "fixed", water, cause=plan)
    calm = _ended(case, "1.2", "street:CH/shuangqiaozi", "fixed", handled_by=(_COLLECTOR, "person:street-duty-4"))
    told.tell("19:30:00", dispatch, case, "fixed-street", calm, actor="person:street-duty-4")
    later = Progressed(
        step="extended",
        assignment_id=f"{case}.1.1",
        unit="dept:water",
        count=1,
        due_at=at("10 09:12:08"),
        reason="管沟塌方",
    )
    told.tell("20:15:00", dispatch, case, "extended", later, actor=_LEADER)
    dug = _ended(case, "3.1", "district:CH", "fixed", handled_by=("person:centre-engineer-1",))
    told.tell("21:00:00", dispatch, case, "fixed-carriageway", dug, actor="person:centre-engineer-1")
    main = _ended(
        case, "1.1", "dept:water", "fixed", handled_by=(_WATER,), evidence=(_photo("repaired"),),
        acknowledged_at=at("09:15:10"), arrived_at=at("09:31:00"), resolve_by=at("10 09:12:08"), late_by_seconds=0,
        extensions=1, urged=1, supervised=True,
    )  # fmt: skip
    told.tell("10 05:40:00", dispatch, case, "fixed-main", main, actor=_WATER)


def _checked(told: _Story, case: str) -> None:
    feedback, dispatch = "/services/feedback", "/services/dispatch"
    cause = told.examples[-1].event.id
    waiting = Progressed(step="checking", due_at=at("10 07:40:00"))
    told.tell("10 05:40:01", feedback, case, "checking", waiting, cause=cause)
    bad = Progressed(step="failed", assignment_id=f"{case}.1.1", reason="六号院仍无水", evidence=(_photo("tap"),))
    told.tell("10 06:30:00", feedback, case, "failed", bad, actor=_CHECKER)
    rework = Evaluated(
        verdict="rework",
        reason="六号院仍无水",
        failed=(f"{case}.1.1",),
        checked_by=_CHECKER,
        due_at=at("10 07:40:00"),
        reworks=1,
    )
    sent_back = told.tell("10 06:30:00", feedback, case, "rework", rework, actor=_CHECKER)
    same = _assignment(case, 4, 1, "dept:water", "关阀止水，抢修管道，恢复供水", "10 06:30:01", replaces="1.1")
    fourth = _dispatched([same], 4, "rework", "check failed: same unit, same task")
    told.tell("10 06:30:01", "/services/triage", case, "dispatched-rework", fourth, cause=sent_back)
    done = _ended(
        case, "4.1", "dept:water", "fixed", note="六号院阀门已开", handled_by=(_WATER,), evidence=(_photo("valve"),)
    )
    told.tell("10 08:05:00", dispatch, case, "fixed-rework", done, actor=_WATER)
    good = Progressed(step="verified", note="逐院放水试压正常", evidence=(_photo("water-back"),))
    told.tell("10 08:50:00", feedback, case, "verified", good, actor=_CHECKER)
    verdict = Evaluated(
        verdict="closed", outcome="fixed", checked_by=_CHECKER, due_at=at("10 10:05:00"), late_by_seconds=0, reworks=1,
        scores=(
            Score(formula="hours-to-resolve.v1", value=20.465, unit="dept:water"),
            Score(formula="on-time.v1", value=1.0, unit="dept:water"),
        ),
    )  # fmt: skip
    told.tell("10 08:50:00", feedback, case, "closed", verdict, actor=_CHECKER)
    rating = Progressed(step="rated", rating=5, note="送水及时，讲得清楚")
    told.tell("10 12:00:00", feedback, case, "rated", rating, actor=_COLLECTOR)


def _withdrawn(told: _Story, case: str) -> None:
    report = NewReport(channel="hotline", reporter_ref="caller:77", title="消防通道被一辆面包车堵住", place=_PLACE)
    filed = told.tell("11:05:00", "/partners/hotline", case, "new-hotline", report, actor="person:hotline-agent-12")
    lead = _assignment(case, 1, 1, "dept:fire", "责令立即清除，必要时强制清除", "11:05:01")
    plan = Dispatched(
        round=1, because="first", category="event.emergency.fire-lane", condition="a", priority=1, title=report.title,
        place=_PLACE, area=_AREA, filed_at=at("11:05:00"), plan=(lead,), check=Check(method="photo", by="grid"),
        explanation=_because("keywords 消防通道 (8)"),
    )  # fmt: skip
    told.tell("11:05:01", "/services/triage", case, "dispatched-fire-lane", plan, cause=filed)
    back = Withdrawal(reporter_ref="caller:77", reason="车主已挪车")
    asked = told.tell("11:12:00", "/partners/hotline", case, "withdrawal", back, actor="person:hotline-agent-12")
    agreed = told.tell("11:12:01", "/services/triage", case, "withdrawn", Withdrawn(reason="车主已挪车"), cause=asked)
    stop = _ended(case, "1.1", "dept:fire", "cancelled", reason="报告人撤回")
    told.tell("11:12:02", "/services/dispatch", case, "cancelled", stop, cause=agreed)
    end = Evaluated(verdict="closed", outcome="withdrawn", checked_by="rule:withdrawn.v1")
    told.tell("11:12:02", "/services/feedback", case, "closed-withdrawn", end, cause=agreed)


def _not_reproducible(told: _Story, case: str) -> None:
    report = NewReport(channel="citizen", reporter_ref="reporter:a90b13", title="路灯不亮", place=_PLACE)
    filed = told.tell("13:20:00", "/services/intake", case, "new-citizen", report, actor="reporter:a90b13")
    look = Progressed(step="verifying", unit=f"grid:{_AREA}", due_at=at("13:50:00"))
    told.tell("13:20:01", "/services/triage", case, "verifying", look, cause=filed)
    no = Rejected(
        why="not_reproducible",
        reason="现场核实路灯正常",
        explanation=_because("a grid member looked, and did not find it"),
    )
    rejected = told.tell("13:41:00", "/services/triage", case, "rejected", no, actor=_COLLECTOR)
    end = Evaluated(verdict="closed", outcome="not_reproducible", checked_by="rule:rejected.v1")
    told.tell("13:41:01", "/services/feedback", case, "closed-not-reproducible", end, cause=rejected)


def _dispatched(plan: Sequence[Assignment], number: int, because: Any, *rules: str) -> Dispatched:
    return Dispatched(
        round=number,
        because=because,
        category="event.emergency.water-main",
        condition="a",
        priority=1,
        title="双桥路地铁工地挖断供水主管，路面大量涌水",
        place=_PLACE,
        area=_AREA,
        filed_at=at("09:12:07"),
        plan=tuple(plan),
        check=Check(method="photo", by="grid"),
        explanation=_because(*rules),
    )


def _assignment(
    case: str,
    round_: int,
    number: int,
    unit: str,
    task: str,
    given: str,
    *,
    replaces: str | None = None,
    lead: bool | None = None,
) -> Assignment:
    """Acknowledged within 5 minutes, resolved within 12 hours, extended twice at most; the first of a round leads."""
    resolve_by = at(given) + timedelta(hours=12)
    return Assignment(
        id=f"{case}.{round_}.{number}",
        unit=unit,
        lead=number == 1 if lead is None else lead,
        task=task,
        acknowledge_by=at(given) + timedelta(minutes=5),
        resolve_by=resolve_by,
        extensions=(resolve_by + timedelta(hours=12), resolve_by + timedelta(hours=24)),
        replaces=f"{case}.{replaces}" if replaces else None,
        escalated_to=("district:CH",) if unit != "district:CH" else (),
    )


def _ended(case: str, number: str, unit: str, outcome: Any, **more: Any) -> Resolved:
    return Resolved(assignment_id=f"{case}.{number}", unit=unit, outcome=outcome, **more)


def _because(*rules: str) -> Explanation:
    return Explanation(rules=rules, catalogue="2026.1", policy="2026.1")


def _photo(name: str) -> Attachment:
    return Attachment(uri=f"urn:casegrid:attachment:{name}", media_type="image/jpeg")

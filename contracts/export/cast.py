"""Who and what occurs in the examples again and again: people, places, plans. All of it is the reference district's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contracts.export.story import Said, at
from contracts.fields import Attachment, Place, Point
from contracts.notice import AssignmentNotice
from contracts.triage import Assignment, Check, Dispatched, Explanation

AREA = "CH/shuangqiaozi/shuangqiaolubei/g001"
COMMUNITY, STREET, DISTRICT = "community:CH/shuangqiaozi/shuangqiaolubei", "street:CH/shuangqiaozi", "district:CH"
MAIN_PLACE = Place(point=Point(lat=30.6477, lon=104.1084), address="双桥路地铁施工围挡旁", area=AREA)
COLLECTOR = "member:shuangqiaolubei-g001-1"
CHECKER = "member:shuangqiaolubei-g001-2"
LEADER = "person:shift-leader-1"

Words = dict[str, Any]
"""Fields that several events have in common."""


@dataclass(frozen=True)
class Kind:
    """A category with its first condition, as the district's catalogue has them."""

    category: str
    priority: int
    closing: str
    acknowledge: timedelta
    resolve: timedelta


BURST_MAIN = Kind(
    "event.emergency.water-main",
    1,
    "供水恢复，路面临时恢复，居民告知 / Supply restored, road passable, residents told",
    timedelta(minutes=5),
    timedelta(hours=12),
)
BLOCKED_LANE = Kind(
    "event.emergency.fire-lane",
    1,
    "通道畅通，标线清晰 / Lane clear, marking visible",
    timedelta(minutes=5),
    timedelta(hours=2),
)
HAZARD = Kind("event.emergency.fire-hazard", 2, "隐患消除 / Hazard removed", timedelta(minutes=15), timedelta(hours=24))


def assignment(kind: Kind, case_number: str, unit: str, task: str, given: str, **more: Any) -> Assignment:
    """Assignment `<case>.<round>.<number>`, extended twice at most; the first of a round leads."""
    resolve_by = at(given) + kind.resolve
    return Assignment.model_validate(
        {
            "id": case_number,
            "unit": unit,
            "lead": case_number.endswith(".1"),
            "task": task,
            "acknowledge_by": at(given) + kind.acknowledge,
            "resolve_by": resolve_by,
            "extensions": (resolve_by + kind.resolve, resolve_by + 2 * kind.resolve),
            "escalated_to": (DISTRICT,),
            **more,
        }
    )


def dispatched(kind: Kind, plan: Sequence[Assignment], number: int, why: Any, *, filed: str, **more: Any) -> Dispatched:
    """A round of a case of that kind."""
    return Dispatched.model_validate(
        {
            "round": number,
            "because": why,
            "category": kind.category,
            "condition": "a",
            "closing": kind.closing,
            "priority": kind.priority,
            "area": AREA,
            "filed_at": at(filed),
            "plan": tuple(plan),
            "check": Check(method="photo", by="grid"),
            **more,
        }
    )


def notice_of(plan: Said, number: str, *, to: str, **more: Any) -> AssignmentNotice:
    """What a partner is told of an assignment of one of its units."""
    ruling = plan.data
    assert isinstance(ruling, Dispatched)
    given = next(one for one in ruling.plan if one.id == plan.case.assignment(number))
    return AssignmentNotice.model_validate(
        {
            "to": to,
            "assignment_id": given.id,
            **{name: getattr(given, name) for name in ("unit", "lead", "task", "acknowledge_by", "resolve_by")},
            **{name: getattr(ruling, name) for name in ("title", "text", "attachments", "place", "category")},
            **{
                name: getattr(ruling, name)
                for name in ("condition", "closing", "priority", "round", "because", "reason")
            },
            "retrospective": ruling.retrospective,
            **more,
        }
    )


def because(*rules: str) -> Explanation:
    """Why a ruling is what it is."""
    return Explanation(rules=rules, catalogue="2026.3", policy="2026.1")


def photo(name: str) -> Attachment:
    """A picture, by its name."""
    return Attachment(uri=f"https://photos.example/{name}.jpg", media_type="image/jpeg")

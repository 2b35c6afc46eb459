"""The story that the examples of audit's OpenAPI document tell: a burst water main, and a second report of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from chassis.kafka.records import Record
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.intake import NewReport
from contracts.progress import Acknowledged, Checking, Joined, OnScene, Verified
from contracts.request import Acknowledge
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged
from contracts.wire import Circumstances, build
from services.audit.examples import (
    AREA,
    ASSIGNMENT_ID,
    CASE,
    CATEGORY,
    CLOSED,
    EXTERNAL,
    MERGED,
    MERGED_CASE,
    REPORT_ID,
    REPORTED,
    REPORTER,
    REQUEST,
    RULED,
    SUPPORT_ID,
    TITLE,
)
from tests.support.facts import home_of, topic_of

DUE = "2026-05-09T16:12:07Z"
PLACE = Place(area=AREA)
WHY = Explanation(rules=("the reporter's category",), catalogue="2026.1", policy="2026.1")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class _Told:
    """The records in the log's order. All of a case are in one partition; nothing else is on the topics."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._sequences: dict[tuple[str, str], int] = {}
        self._offsets: dict[tuple[str, int], int] = {}

    def tell(self, case: str, data: Fact, at: str, cause: str | None, actor: str | None, event_id: str) -> str:
        """Publishes a fact; its id."""
        source = home_of(data)
        sequence = self._sequences[source, case] = self._sequences.get((source, case), 0) + 1
        event, raw = build(
            data,
            Circumstances(
                event_id=event_id,
                source=source,
                subject=case,
                time=_at(at),
                recorded=_at(at) + timedelta(milliseconds=35),
                sequence=sequence,
                cause=cause,
                actor=actor,
            ),
        )
        topic, partition = topic_of(event), 2 if case == CASE else 0
        offset = self._offsets[topic, partition] = self._offsets.get((topic, partition), -1) + 1
        self.records.append(Record(topic, partition, offset, case.encode(), raw, [("content-type", CONTENT_TYPE)]))
        return event_id


def _assignment(assignment_id: str, unit: str, task: str) -> Assignment:
    return Assignment(
        id=assignment_id,
        unit=unit,
        lead=assignment_id == ASSIGNMENT_ID,
        task=task,
        acknowledge_by=_at("2026-05-09T01:27:07Z"),
        resolve_by=_at(DUE),
    )


def _ids() -> Iterator[str]:
    """Ids of the events that no example names."""
    return (f"019e0a9d-{number:04x}-7000-8000-6c7d1e3b4a55" for number in range(1, 100))


def told() -> list[Record]:
    """The records: the case from its report to its closing, the merged case, and a request that nobody has answered."""
    story, ids = _Told(), _ids()
    report = NewReport(channel="handset", title=TITLE, category=CATEGORY, place=PLACE)
    new = story.tell(CASE, report, REPORTED, None, REPORTER, REPORT_ID)
    plan = Dispatched(
        round=1,
        because="first",
        category=CATEGORY,
        condition="a main has burst",
        closing="the road is dry, the supply is back",
        priority=1,
        title=TITLE,
        place=PLACE,
        area=AREA,
        filed_at=_at(RULED),
        plan=(
            _assignment(ASSIGNMENT_ID, "dept:water", "repair the main"),
            _assignment(SUPPORT_ID, "dept:fire", "bring water"),
        ),
        check=Check(method="photo", by="grid"),
        explanation=WHY,
    )
    ruled = story.tell(CASE, plan, RULED, new, None, next(ids))
    again = NewReport(channel="hotline", title="No water", external_ref=EXTERNAL, place=PLACE)
    second = story.tell(MERGED_CASE, again, "2026-05-09T01:14:27Z", None, "operator:hotline", next(ids))
    merging = Merged(into=CASE, category=CATEGORY, area=AREA, said="No water", explanation=WHY)
    merged = story.tell(MERGED_CASE, merging, MERGED, second, None, next(ids))
    duplicate = Evaluated(verdict="closed", outcome="duplicate")
    story.tell(MERGED_CASE, duplicate, "2026-05-09T01:14:34Z", merged, None, next(ids))
    joined = Joined(case_id=MERGED_CASE, count=1, said="No water")
    story.tell(CASE, joined, "2026-05-09T01:14:35Z", merged, None, next(ids))
    taken: dict[str, str] = {}
    for assignment_id, unit, at in (
        (ASSIGNMENT_ID, "dept:water", "2026-05-09T01:18:40Z"),
        (SUPPORT_ID, "dept:fire", "2026-05-09T01:20:02Z"),
    ):
        step = Acknowledged(assignment_id=assignment_id, unit=unit, due_at=_at(DUE))
        taken[assignment_id] = story.tell(CASE, step, at, ruled, unit, next(ids))
    arrived = OnScene(assignment_id=ASSIGNMENT_ID, unit="dept:water")
    cause = taken[ASSIGNMENT_ID]
    taken[ASSIGNMENT_ID] = story.tell(CASE, arrived, "2026-05-09T01:41:15Z", cause, "dept:water", next(ids))
    done = ""
    for assignment_id, unit, at in (
        (SUPPORT_ID, "dept:fire", "2026-05-09T12:30:00Z"),
        (ASSIGNMENT_ID, "dept:water", "2026-05-09T13:21:10Z"),
    ):
        end = Resolved(assignment_id=assignment_id, unit=unit, outcome="fixed", resolve_by=_at(DUE), late_by_seconds=0)
        done = story.tell(CASE, end, at, taken[assignment_id], unit, next(ids))
    checking = Checking(due_at=_at("2026-05-09T17:21:10Z"))
    waiting = story.tell(CASE, checking, "2026-05-09T13:21:11Z", done, None, next(ids))
    verified = story.tell(CASE, Verified(), CLOSED, waiting, "member:shuangqiaolubei-g001-2", next(ids))
    verdict = Evaluated(verdict="closed", outcome="fixed", late_by_seconds=0)
    story.tell(CASE, verdict, CLOSED, verified, None, next(ids))
    late = Acknowledge(assignment_id=ASSIGNMENT_ID)
    story.tell(CASE, late, "2026-05-09T14:10:00Z", ruled, "chen", REQUEST)
    return story.records

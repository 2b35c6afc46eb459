"""What intake takes and gives over HTTP, with examples."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from contracts.fields import AreaPath, Attachments, ClaimedInstant, Line, Name, Place, Point, Text
from contracts.intake import Channel
from contracts.status import Status


class Body(BaseModel):
    """Base of requests: a misspelt field is an error, not a silence."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise ValueError("must not contain NUL")
        return value


class Where(Body):
    """Any of a position (WGS 84), an address in words, and an area path. The position decides where there is one."""

    point: Point | None = None
    address: Line | None = None
    area: AreaPath | None = None


class Who(Body):
    """The reporter, to be called back. Never leaves intake; may be erased."""

    name: Name | None = None
    phone: Annotated[str, Field(min_length=1, max_length=50)] | None = None


class Report(Body):
    """A new report. `channel` only where the caller's role allows several; `at` is when it was seen, if not now."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "Water main burst by the metro site",
                    "text": "Water all over the road, the pressure at home is gone.",
                    "category": "event.emergency.water-main-burst",
                    "place": {"point": {"lat": 30.6541, "lon": 104.1022}, "address": "Shuangqiao Road"},
                    "reporter": {"name": "Li Na", "phone": "+86 28 5555 0101"},
                    "attachments": [{"uri": "https://photos.example/7.jpg", "media_type": "image/jpeg"}],
                    "at": "2026-05-09T01:02:03Z",
                }
            ]
        },
    )

    title: Line
    text: Text = ""
    category: Name | None = None
    channel: Channel | None = None
    place: Where = Where()
    reporter: Who | None = None
    attachments: Attachments = ()
    base_records: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    external_ref: Name | None = None
    at: ClaimedInstant | None = None


class More(Body):
    """More about a report."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "It has reached the cellars of number 14."}]}
    )

    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    attachments: Attachments = ()
    at: ClaimedInstant | None = None


class Back(Body):
    """Why the report is taken back."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "It has dried up by itself."}]}
    )

    reason: Line
    at: ClaimedInstant | None = None


class Filed(BaseModel):
    """What filing gave. `area` null: a person will decide where it is. `reported_at` counts; where another time was
    claimed that stands beside it, doubtful if it cannot be.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "case_id": "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11",
                    "event_id": "019e0a9c-1f79-7004-9d61-3f0a52c7be90",
                    "status": "reported",
                    "channel": "handset",
                    "area": "CH/shuangqiaozi/shuangqiaolubei/g001/s01",
                    "key_place": None,
                    "reporter_ref": "reporter:5f0c2b9a41d8e673",
                    "retrospective": False,
                    "reported_at": "2026-05-09T01:02:07.813022Z",
                    "claimed_at": "2026-05-09T01:02:03Z",
                    "time_doubtful": False,
                }
            ]
        }
    )

    case_id: str
    event_id: str
    status: Status
    channel: Channel
    area: str | None
    key_place: str | None
    reporter_ref: str | None
    retrospective: bool
    reported_at: datetime
    claimed_at: datetime | None
    time_doubtful: bool


class Said(BaseModel):
    """What adding to a report, or taking it back, gave."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "case_id": "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11",
                    "event_id": "019e0aa1-6c20-7a51-b1f4-6f2e8d90c3aa",
                    "status": "dispatched",
                    "supplements": 1,
                    "withdrawal_asked": False,
                }
            ]
        }
    )

    case_id: str
    event_id: str
    status: Status
    supplements: int
    withdrawal_asked: bool


class Item(BaseModel):
    """A report in a list. `status`, `outcome` and `closed_at` are those of the case that it was merged into, if it was;
    `own_status` is its own. `reason` is of its own case, for another's is not its reporter's to read. `upheld_reason`:
    why the case goes on although the report was taken back.
    """

    case_id: str
    status: Status
    own_status: Status
    outcome: str | None
    reason: str | None
    closed_at: datetime | None
    merged_into: str | None
    channel: Channel
    title: str
    category: str | None
    area: str | None
    external_ref: str | None
    reporter_ref: str | None
    reported_at: datetime
    filed_at: datetime | None
    filed_by: str
    reported_by: str | None
    retrospective: bool
    supplements: int
    withdrawal_asked: bool
    upheld_reason: str | None


class Addition(BaseModel):
    """A supplement as it was given."""

    at: datetime
    claimed_at: datetime | None
    by: str | None
    text: str
    attachments: Attachments


class Taken(BaseModel):
    """A withdrawal as it was asked for; `upheld_reason` where the case goes on all the same."""

    at: datetime
    claimed_at: datetime | None
    by: str | None
    reason: str
    upheld_reason: str | None


class Whole(Item):
    """A report with all that was said: `category` and `area` as ruled, `place` and `report_category` as reported."""

    text: str
    place: Place
    report_category: str | None
    attachments: Attachments
    base_records: list[str]
    claimed_at: datetime | None
    time_doubtful: bool
    said: list[Addition]
    withdrawal: Taken | None


class Reports(BaseModel):
    """A page of reports."""

    items: list[Item]
    next: str | None


class Person(BaseModel):
    """Who a reference stands for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"reporter_ref": "reporter:5f0c2b9a41d8e673", "name": "Li Na", "phone": "+86 28 5555 0101"}]
        }
    )

    reporter_ref: str
    name: str | None
    phone: str | None

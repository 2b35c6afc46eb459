"""Request: what a partner's system says on `from.<partner>`: reports, and what its units do.

Each is the record of a command that a person has over HTTP, judged by the same function under the same rules. There is
no word in it about lateness, urging or supervision: those are not a partner's to say.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.fields import (
    AreaPath,
    AssignmentId,
    Attachments,
    Fact,
    FilledText,
    IntegerBetween,
    Line,
    Name,
    Point,
    Shape,
    Text,
)
from contracts.reference import Says

ReportChannel = Literal["partner", "hotline", "open311", "sensor"]
"""How the report came to you: by `hotline`, over `open311`, by a `sensor`, or otherwise (`partner`). A grid member may
look at what came by hotline or over open311 before it is filed.
"""


class _Request(Fact):
    name: ClassVar[str] = "Request"
    right: ClassVar[Says] = "reports"
    """What a partner must be registered for to say it."""
    begins: ClassVar[bool] = False
    """Whether it begins a case, and so answers no notice."""


class ReportedPlace(Shape):
    """Any of a position (WGS 84), an address in words, and an area path. A position decides alone, whatever area is
    named beside it; without one the area counts, and without that an address that means one grid.
    """

    point: Point | None = None
    """The position."""
    address: Line | None = None
    """The address in words."""
    area: AreaPath | None = None
    """The path of an area of the district: `CH/shengdeng/hualin`. It counts only where there is no position."""


class FileReport(_Request):
    """A report. Its case begins here: `subject` is a new UUID of yours."""

    begins: ClassVar[bool] = True

    kind: Literal["report"] = "report"
    channel: ReportChannel = "partner"
    reporter_ref: Annotated[Name, Field(max_length=140)] | None = None
    """An opaque reference to the reporter in your system; never a name or a telephone number."""
    title: Line
    """What is wrong, in one line."""
    text: Text = ""
    """The report in the reporter's words."""
    category: Name | None = None
    """A code of the catalogue. Triage may rule otherwise; where it knows none of that code, the words decide."""
    place: ReportedPlace = ReportedPlace()
    """Where it is."""
    attachments: Attachments = ()
    base_records: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """The people, households, organisations, places or facilities it concerns, as identifiers of the base records."""
    external_ref: Name | None = None
    """The report's number in your system."""


class AddSupplement(_Request):
    """More about a report of yours."""

    kind: Literal["supplement"] = "supplement"
    text: FilledText
    """What is added."""
    attachments: Attachments = ()


class Withdraw(_Request):
    """A report of yours is taken back."""

    kind: Literal["withdrawal"] = "withdrawal"
    reason: Line
    """Why it is taken back."""


class Rate(_Request):
    """How satisfied the reporter of a closed report of yours is."""

    kind: Literal["rating"] = "rating"
    rating: Annotated[int, IntegerBetween(1, 5)]
    """From 1, very dissatisfied, to 5, very satisfied."""
    comment: FilledText | None = None
    """The reporter's words."""


class Reopen(_Request):
    """A closed report of yours is to be taken up again."""

    kind: Literal["reopening"] = "reopening"
    reason: Line
    """Why it is not over."""


class _Step(_Request):
    right: ClassVar[Says] = "steps"

    assignment_id: AssignmentId
    """The assignment that you were told of: `<case id>.<round>.<number in the round>`."""


class Acknowledge(_Step):
    """Your unit takes the assignment on."""

    kind: Literal["acknowledge"] = "acknowledge"


class SetOut(_Step):
    """Your unit is on its way."""

    kind: Literal["en_route"] = "en_route"


class Arrive(_Step):
    """Your unit is on the scene; from now on the assignment cannot be returned."""

    kind: Literal["on_scene"] = "on_scene"


class Note(_Step):
    """A remark."""

    kind: Literal["note"] = "note"
    note: FilledText
    """The remark."""
    evidence: Attachments = ()


class RequestExtension(_Step):
    """Your unit asks for one more original limit, before it is overdue."""

    kind: Literal["request_extension"] = "request_extension"
    reason: Line
    """Why your unit needs more time."""


class HandOn(_Step):
    """Your unit stands above the one named, and gives it the assignment."""

    kind: Literal["hand_on"] = "hand_on"
    unit: Name
    """The unit below yours that gets it."""
    reason: Line
    """Why."""


class Return(_Step):
    """Not your unit's to do; before work begins."""

    kind: Literal["return"] = "return"
    reason: Line
    """Why it is not your unit's to do."""


class Resolve(_Step):
    """The task is done."""

    kind: Literal["resolve"] = "resolve"
    note: Text | None = None
    """What was done."""
    evidence: Attachments = ()
    handled_by: Annotated[tuple[Annotated[Name, Field(max_length=100)], ...], Field(max_length=40)] = ()
    """Who did it, as your system names them; they appear as `<partner>:<name>` and may not check the case."""


Request = Annotated[
    FileReport
    | AddSupplement
    | Withdraw
    | Rate
    | Reopen
    | Acknowledge
    | SetOut
    | Arrive
    | Note
    | RequestExtension
    | HandOn
    | Return
    | Resolve,
    Field(discriminator="kind"),
]
REPORTS = (FileReport, AddSupplement, Withdraw, Rate, Reopen)
"""What intake takes; the rest is dispatch's."""

"""ReportFiled: what intake publishes about reports, whoever sent them in."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.fields import (
    Attachments,
    CaseId,
    Claimed,
    FilledText,
    Flag,
    IntegerBetween,
    Line,
    Name,
    PartnerId,
    Place,
    Text,
)

Channel = Literal["handset", "citizen", "hotline", "open311", "sensor", "partner"]
"""How a report came in: by a grid member's `handset`, from a `citizen`, by the city's `hotline`, over `open311`, by a
`sensor`, or otherwise from a `partner`'s system.
"""

REPORT_BYTES = 128 * 1024
"""Of a report on the wire: half of what an event may have, for the plan that repeats its words needs room, too."""


PARTNER_UNITS = 100
"""The most units of a partner that a rating names."""


class _ReportFiled(Claimed):
    name: ClassVar[str] = "ReportFiled"


class NewReport(_ReportFiled):
    """Something is wrong somewhere; the case begins here."""

    kind: Literal["new"] = "new"
    channel: Channel
    reporter_ref: Name | None = None
    """An opaque reference; who it is stays in intake."""
    reported_by: PartnerId | None = None
    """The partner whose system took the report and sent it in."""
    title: Line
    """What is wrong, in one line."""
    text: Text = ""
    """The report in the reporter's words."""
    category: Name | None = None
    """The reporter's own choice from the catalogue; triage may rule otherwise."""
    place: Place = Place()
    """Where it is."""
    attachments: Attachments = ()
    base_records: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """The people, households, organisations, places or facilities it concerns, as identifiers of the base records."""
    external_ref: Name | None = None
    """The report's number in the system it came from."""
    retrospective: Flag = False
    """Entered long after the fact: its deadlines are measured from its own times, but raise no alarm."""


class Supplement(_ReportFiled):
    """More about a case that was filed before."""

    kind: Literal["supplement"] = "supplement"
    reporter_ref: Name | None = None
    """Of whoever filed the report; absent where somebody else added to it on their behalf."""
    text: Text
    """What is added, in the reporter's words."""
    attachments: Attachments = ()


class Withdrawal(_ReportFiled):
    """The reporter takes the report back; triage rules on it."""

    kind: Literal["withdrawal"] = "withdrawal"
    reporter_ref: Name | None = None
    """Of whoever filed the report."""
    reason: Line
    """Why it is taken back."""


class Rating(_ReportFiled):
    """How satisfied whoever reported it is with how the closed case was handled."""

    kind: Literal["rating"] = "rating"
    reporter_ref: Name | None = None
    """Of whoever filed the report."""
    verdict_id: CaseId
    """The event that closed the case: what is rated."""
    rating: Annotated[int, IntegerBetween(1, 5)]
    """From 1, very dissatisfied, to 5, very satisfied."""
    comment: FilledText | None = None
    """The reporter's words."""
    unit: Name | None = None
    """The unit of whoever rates. If it handled the case, the rating counts in no figure."""
    partner: PartnerId | None = None
    """The partner whose system sent it in. If its people handled the case, the rating counts in no figure."""
    partner_units: Annotated[tuple[Name, ...], Field(max_length=PARTNER_UNITS)] = ()
    """The units that the partner answers for. If one of them handled the case, the rating counts in no figure."""


class Reopening(_ReportFiled):
    """Whoever reported it asks that the closed case be taken up again."""

    kind: Literal["reopening"] = "reopening"
    reporter_ref: Name | None = None
    """Of whoever filed the report."""
    verdict_id: CaseId
    """The event that closed the case: what is doubted."""
    reason: Line
    """Why it is not over."""


Said = NewReport | Supplement | Withdrawal | Rating | Reopening
"""What is said of a report."""
ReportFiled = Annotated[Said, Field(discriminator="kind")]

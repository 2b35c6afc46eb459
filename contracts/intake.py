"""ReportFiled: what intake publishes, and what partners that take reports themselves publish."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.fields import Attachment, Fact, Line, Name, Place, Text

Channel = Literal["handset", "citizen", "hotline", "open311", "sensor", "partner"]


class _ReportFiled(Fact):
    topic: ClassVar[str] = "ReportFiled"


class NewReport(_ReportFiled):
    """Something is wrong somewhere; the case begins here. The envelope's `time` is when it was seen."""

    kind: Literal["new"] = "new"
    channel: Channel
    reporter_ref: Name | None = None
    """An opaque reference; who it is stays in intake."""
    title: Line
    text: Text = ""
    category: Name | None = None
    """The reporter's own choice from the catalogue; triage may rule otherwise."""
    place: Place = Place()
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=50)] = ()
    base_records: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """The people, households, organisations, places or facilities it concerns, as identifiers of the base records."""
    external_ref: Name | None = None
    """The report's number in the system it came from."""
    retrospective: bool = False
    """Entered long after the fact: its deadlines are measured from its own times, but raise no alarm."""


class Supplement(_ReportFiled):
    """More about a case that was filed before."""

    kind: Literal["supplement"] = "supplement"
    reporter_ref: Name | None = None
    text: Text
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=50)] = ()


class Withdrawal(_ReportFiled):
    """The reporter takes the report back."""

    kind: Literal["withdrawal"] = "withdrawal"
    reporter_ref: Name | None = None
    reason: Line


ReportFiled = Annotated[NewReport | Supplement | Withdrawal, Field(discriminator="kind")]

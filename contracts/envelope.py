"""The envelope: CloudEvents 1.0 in structured JSON mode (content type `application/cloudevents+json`).

Source: CloudEvents 1.0.2 with the extensions partitioning, sequence and distributed tracing; `recordedtime`,
`correlationid`, `causationid` and `actor` are Casegrid's own extension attributes.
"""

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.fields import CASE_ID, CaseId, Instant, Name

D = TypeVar("D")

CONTENT_TYPE = b"application/cloudevents+json"

EventId = Annotated[str, Field(pattern=CASE_ID.pattern, max_length=36)]
Source = Annotated[str, Field(pattern=r"^/(services|partners)/[a-z0-9][a-z0-9-]*$", max_length=100)]
Traceparent = Annotated[str, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class Event(BaseModel, Generic[D]):
    """One fact with its circumstances. (`source`, `id`) is unique; the same pair is the same event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: EventId
    """Fixed when the event is appended; UUIDv7."""
    source: Source
    """Who says so: `/services/<name>` or `/partners/<name>`."""
    type: Annotated[str, Field(pattern=r"^casegrid\.[A-Za-z]+\.v[0-9]+$", max_length=100)]
    subject: CaseId
    """The case; equal to `partitionkey`, `correlationid` and the Kafka key."""
    time: Instant
    """When it happened."""
    recordedtime: Instant
    """When it was appended to its source's store."""
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(max_length=200)] | None = None
    partitionkey: CaseId
    correlationid: CaseId
    sequence: Annotated[str, Field(pattern=r"^[0-9]{10}$")]
    """The event's number within its source's stream of that case, from 0000000001; a gap means a loss."""
    causationid: EventId | None = None
    """The event that led to this one; absent only where a person or a clock began it."""
    actor: Name | None = None
    """The person, partner or clock that began it; always there when `causationid` is not."""
    traceparent: Traceparent | None = None
    """The trace in which the event was appended (W3C Trace Context)."""
    data: D

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.subject == self.partitionkey == self.correlationid):
            raise ValueError("subject, partitionkey and correlationid must be the same case id")
        if self.causationid is None and self.actor is None:
            raise ValueError("causationid or actor must say what began the event")
        return self

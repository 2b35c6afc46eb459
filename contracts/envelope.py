"""The envelope: CloudEvents 1.0 in structured JSON mode (content type `application/cloudevents+json`).

Source: CloudEvents 1.0.2 with the extensions partitioning, sequence and distributed tracing; `recordedtime`,
`correlationid`, `causationid` and `actor` are Casegrid's own extension attributes.
"""

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from contracts.fields import CASE_ID, CaseId, ClaimedInstant, Instant, Name, Shape
from contracts.homes import publisher_of, topic_from

D = TypeVar("D")

CONTENT_TYPE = b"application/cloudevents+json"

EventId = Annotated[str, Field(pattern=CASE_ID.pattern, max_length=36)]
Source = Annotated[str, Field(pattern=r"^/(services|partners)/[a-z0-9][a-z0-9-]*$", max_length=100)]
Sequence = Annotated[str, Field(pattern=r"^[0-9]{10}$")]
Traceparent = Annotated[str, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class _Envelope(Shape, Generic[D]):
    """One fact with its circumstances. (`source`, `id`) is unique; the same pair is the same event."""

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: EventId
    """Fixed when the event is appended. Ours are UUIDv7; a partner may take a UUIDv5 of its own number."""
    source: Source
    """Who says so: `/services/<name>` or `/partners/<name>`."""
    type: Annotated[str, Field(pattern=r"^casegrid\.[A-Za-z]+\.v[0-9]+$", max_length=100)]
    """The name of the type, and its version."""
    subject: CaseId
    """The case; equal to `partitionkey`, `correlationid` and the Kafka key."""
    datacontenttype: Literal["application/json"] = "application/json"
    """What `data` is; where it is absent, the same."""
    dataschema: Annotated[str, Field(max_length=200)] | None = None
    """The `$id` of the JSON Schema of the record: `urn:casegrid:schema:<Type>:v<version>`."""
    partitionkey: CaseId
    """The case, as the key that keeps its records together."""
    correlationid: CaseId
    """The case, as what its records have in common."""
    causationid: EventId | None = None
    """The event that this one follows from or answers; absent at a first report, and where an unreadable record is
    answered."""
    actor: Name | None = None
    """The person, partner or clock that began it; always there when `causationid` is not."""
    traceparent: Traceparent | None = None
    """The trace in which the event was appended (W3C Trace Context)."""
    data: D
    """What is said."""

    @property
    def publisher(self) -> str:
        """The service or partner that says so, by its name: `intake`, `water`."""
        return publisher_of(self.source)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.subject == self.partitionkey == self.correlationid):
            raise ValueError("subject, partitionkey and correlationid must be the same case id")
        if self.causationid is None and self.actor is None:
            raise ValueError("causationid or actor must say what began the event")
        return self


class Event(_Envelope[D], Generic[D]):
    """What a service publishes."""

    time: Instant
    """When it happened, by the clock that counts."""
    recordedtime: Instant
    """When it was appended to its source's store."""
    sequence: Sequence
    """The event's number among all that its source says of that case, from 0000000001, whatever topics they are on. So
    the numbers on one topic have gaps; a number that is on no topic at all, `to.<partner>` included, was lost.
    """

    @property
    def topic(self) -> str:
        """Where it is published, without the installation's prefix."""
        fact: Any = self.data
        return fact.topic


class PartnerEvent(_Envelope[D], Generic[D]):
    """What a partner's system publishes on `from.<partner>`."""

    time: ClaimedInstant
    """When it happened, by your clock, with any offset."""
    recordedtime: ClaimedInstant
    """When your system wrote it down."""
    sequence: Sequence | None = None
    """Your count of what you said about the case, from 0000000001; not needed. Where it is given, audit shows numbers
    that are missing or there twice.
    """

    @property
    def topic(self) -> str:
        """Where it is published, without the installation's prefix."""
        return topic_from(self.publisher)


AnyEvent = Event[Any] | PartnerEvent[Any]

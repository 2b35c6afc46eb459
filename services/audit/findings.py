"""What completeness finds wrong with numbers and places: repeated sequences, and records where they should not lie."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from chassis.web.bodies import Answer
from services.audit import examples
from services.audit.bodies import CaseOut, Coordinates, FirstIndex, LastIndex, SourceOut, Times

F = TypeVar("F", bound=Answer)


class Findings(Answer, Generic[F]):
    """What a question found."""

    count: Annotated[int, Field(description="How many there are in all.", examples=[1], ge=0)]
    items: Annotated[list[F], Field(description="The first of them, as many as were asked for.")]


class RepeatedSequence(Answer):
    """A number that several events of a source have in one case."""

    case_id: CaseOut
    source: SourceOut
    sequence: Annotated[int, Field(description="The number.", examples=[2], ge=1)]
    times: Times
    first_index: FirstIndex
    last_index: LastIndex


class ForeignPartition(Coordinates):
    """A record of a service in another partition than that of its key."""

    home: Annotated[int, Field(description="The partition of its key.", examples=[4], ge=0)]
    case_id: Annotated[
        str | None, Field(description="The case that the record names, if it can be read.", examples=[examples.CASE])
    ]
    source: Annotated[
        str | None,
        Field(description="Who published it, as it says; null if unreadable.", examples=["/services/intake"]),
    ]


class SplitCase(Answer):
    """A case whose records on one topic lie in several partitions, which have no order among each other."""

    case_id: Annotated[str, Field(description="The case that the records name.", examples=[examples.CASE])]
    topic: Annotated[str, Field(description="The topic, without the installation's prefix.", examples=["from.water"])]
    partitions: Annotated[list[int], Field(description="Where they lie.", examples=[[1, 4]])]
    times: Times
    first_index: FirstIndex
    last_index: LastIndex

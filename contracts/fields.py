"""Field types the facts share: instants, bounded integers, identifiers, places, attachments."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

MAX_INTEGER = 2**53 - 1
"""The largest integer every JSON reader keeps exactly (RFC 8259, section 6)."""


class _Utc:
    """Checks the offset where the text is parsed, in pydantic's own code."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.datetime_schema(tz_constraint=0)


Instant = Annotated[datetime, _Utc]
"""A point in time, in UTC, to the microsecond."""

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Line = Annotated[str, Field(min_length=1, max_length=500)]
"""One line of text: a name, a task, a short reason."""
Text = Annotated[str, Field(max_length=20_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
"""An identifier of a person, a unit, a category or a place, in the words of the reference files."""
CASE_ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
CaseId = Annotated[str, Field(pattern=CASE_ID.pattern, max_length=36)]
"""A UUID in lower case; ours are version 7."""
AssignmentId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}\.[0-9]{1,4}\.[0-9]{1,4}$", max_length=46)]
"""`<case id>.<round>.<number in the round>`."""
AreaPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(/[A-Za-z0-9-]+){0,4}$", max_length=200)]
"""District, street, community, grid and sub-grid, joined by slashes: `CH/shengdeng/hualin/g012`."""


class Fact(BaseModel):
    """Base of everything published: frozen; unknown fields are ignored, so that a writer may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Point(Fact):
    """A position in WGS 84, degrees."""

    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Place(Fact):
    """Where: any of a position, an address in words, and the area they resolved to (absent: a person must decide)."""

    point: Point | None = None
    address: Line | None = None
    area: AreaPath | None = None
    key_place: Name | None = None
    """The school, hospital, gas station ... at that position; raises the priority."""


class Attachment(Fact):
    """A photo, a recording, a document: where it lies, and the hash of its bytes (SHA-256, hexadecimal)."""

    uri: Annotated[str, Field(min_length=1, max_length=2_000)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    media_type: Annotated[str, Field(max_length=100)] | None = None


class Span(Fact):
    """From an instant to an instant, the end excluded."""

    since: Instant
    until: Instant

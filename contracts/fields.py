"""Field types the facts share: instants, numbers, flags, identifiers, places, attachments.

Nothing is converted on the way in: a number in quotes is no number, and `"yes"` is no flag. What the models accept as
JSON is what the published schemas say, and no more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from contracts import docstrings

MAX_INTEGER = 2**53 - 1
"""The largest integer every JSON reader keeps exactly (RFC 8259, section 6)."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
"""The first and the last instant a fact may name."""


def _dates(first: int, last: int) -> str:
    """A pattern of the calendar dates of these years, leap days included."""
    leap = "|".join(str(year) for year in range(first, last + 1) if year % 4 == 0 and (year % 100 or year % 400 == 0))
    years = "|".join(
        f"{decade}[{max(first, decade * 10) % 10}-{min(last, decade * 10 + 9) % 10}]"
        for decade in range(first // 10, last // 10 + 1)
    )
    days = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    return f"(?:(?:{years})-(?:{days}|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:{leap})-02-29)"


_CLOCK = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_OFFSET = r"[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
INSTANT = f"^{_dates(1970, 2199)}{_CLOCK}Z$"
"""RFC 3339 in UTC, from 1970 to 2199, to the microsecond; a pattern, for validators need not know `format`."""
CLAIMED = f"^(?:{_dates(1970, 2199)}{_CLOCK}Z|{_dates(1971, 2198)}{_CLOCK}{_OFFSET})$"
"""The same with any offset; a year inside at both ends, so that its UTC can be written, too."""
_CLAIMED = re.compile(CLAIMED)


class _Utc:
    """In JSON the text that `INSTANT` describes; in Python an aware datetime, kept in UTC."""

    pattern = INSTANT

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        text = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=INSTANT),
            custom_error_type="instant",
            custom_error_message="must be an RFC 3339 date and time in UTC (Z), from 1970 to 2199, to the microsecond",
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([text, core_schema.datetime_schema()]),
            python_schema=core_schema.no_info_plain_validator_function(_kept),
            serialization=core_schema.plain_serializer_function_ser_schema(instant, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _: Any, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time", "pattern": cls.pattern}


class _AnyOffset(_Utc):
    """The same with any offset, as text or as an aware datetime: what people and partners' systems send."""

    pattern = CLAIMED

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _any_offset, serialization=core_schema.plain_serializer_function_ser_schema(instant, when_used="json")
        )


def _kept(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("must be an instant with an offset")
    try:
        at = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between 1970 and 2199") from None
    if not EARLIEST <= at <= LATEST:
        raise ValueError("must lie between 1970 and 2199")
    return at


def _any_offset(value: Any) -> datetime:
    if not isinstance(value, str):
        return _kept(value)
    if not _CLAIMED.fullmatch(value):
        raise ValueError(
            "must be an RFC 3339 date and time to the microsecond, from 1970 to 2199 (with an offset 1971 to 2198)"
        )
    return datetime.fromisoformat(value).astimezone(UTC)


@lru_cache(maxsize=1024)  # a batch has one `recordedtime`
def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always 27 characters, so that text order is time order."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


Instant = Annotated[datetime, _Utc]
"""A point in time from 1970 to 2199, in UTC, to the microsecond."""
ClaimedInstant = Annotated[datetime, _AnyOffset]
"""The same, written with any offset: what a person or a partner's system says when something happened."""


@dataclass(frozen=True, slots=True)
class IntegerBetween:
    """Of an integer field: its limits. 5.0 is an integer in JSON Schema, and so it is here."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        limited = core_schema.int_schema(strict=True, ge=self.least, le=self.most)
        return core_schema.no_info_before_validator_function(_whole, limited)


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, IntegerBetween(0, MAX_INTEGER)]
LINE = 500
"""The most characters of a `Line`."""
_FILLED = r"[^ \t\n\x0b\x0c\r\u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
"""Some character that is not white space; spelt out, because `\\S` differs between regular expression engines."""


class Filled:
    """Of a text field: white space alone is not enough."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        filled = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=_FILLED),
            custom_error_type="blank",
            custom_error_message="must not be blank",
        )
        return core_schema.chain_schema([handler(source), filled])

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        limited = schema["steps"][0] if schema["type"] == "chain" else schema
        return {**handler(limited), "pattern": _FILLED}


KEPT: Mapping[str, bool] = {"kept": True}
"""Context of the validation of what was taken before: rules on how a text is written do not hold back what is kept."""


@dataclass(frozen=True, slots=True)
class Written:
    """Of a text field: how it is written. Both patterns are in the published schema, so neither looks ahead."""

    pattern: str
    rule: str
    """In words, for whoever broke it."""
    never: str | None = None
    """What it must not match."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        never: JsonSchemaValue = {} if self.never is None else {"not": {"pattern": self.never}}
        return {**handler(schema), "pattern": self.pattern, **never}

    def taken(self, text: str) -> bool:
        """Whether it is written so. `$` is the end of the text, as it is to other readers of the patterns."""
        return _matches(self.pattern, text) and not (self.never and _matches(self.never, text))

    def _checked(self, text: str, info: core_schema.ValidationInfo) -> str:
        if info.context == KEPT or self.taken(text):
            return text
        raise PydanticCustomError("written", self.rule)  # pyright: ignore[reportArgumentType]


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern.replace("$", r"\Z"), text) is not None


Line = Annotated[str, Field(min_length=1, max_length=LINE), Filled]
"""One line of text, not blank: a name, a task, a short reason."""
Text = Annotated[str, Field(max_length=20_000)]
FilledText = Annotated[str, Field(min_length=1, max_length=20_000), Filled]
"""A text that says something."""
Name = Annotated[str, Field(min_length=1, max_length=200), Filled]
"""An identifier of a person, a unit, a category or a place, in the words of the reference files."""
CASE_ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
CaseId = Annotated[str, Field(pattern=CASE_ID.pattern, max_length=36)]
"""A UUID in lower case; ours are version 7."""
AssignmentId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}\.[0-9]{1,4}\.[0-9]{1,4}$", max_length=46)]
"""`<case id>.<round>.<number in the round>`."""
FROM, TO = "from.", "to."
"""What a partner's own topics begin with: the one it writes, the one it reads."""
PartnerId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$", max_length=50)]
"""A partner's system, as it is registered: `water`. Its topics are `from.water` and `to.water`."""
AreaPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(/[A-Za-z0-9-]+){0,4}$", max_length=200)]
"""District, street, community, grid and sub-grid, joined by slashes: `CH/shengdeng/hualin/g012`."""


def coordinates(topic: str, partition: int, offset: int) -> str:
    """Where a record lies, as operators write it: `topic/partition@offset`."""
    return f"{topic}/{partition}@{offset}"


def case_of(assignment_id: str) -> str:
    """The case of an assignment."""
    return assignment_id.partition(".")[0]


def lies_in(area: str, other: str) -> bool:
    """Whether an area is that other one or lies in it."""
    return area == other or area.startswith(other + "/")


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def described(model: type[BaseModel], made: JsonSchemaValue, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """A model's JSON Schema with the strings under its fields as their descriptions. A field of one word only tells the
    models of a union apart, and needs no string.
    """
    told = docstrings.of_fields(model)
    for name, field in handler.resolve_ref_schema(made).get("properties", {}).items():
        if name in told:
            field["description"] = told[name]
        elif "const" in field:
            field["description"] = "Tells this kind from the others."
    return made


class Shape(BaseModel):
    """Base of all that is published: frozen. Whoever builds one names its own fields only; readers overlook others."""

    model_config = ConfigDict(frozen=True, extra="forbid", cache_strings="keys")  # hardly a value comes twice

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return described(cls, handler(schema), handler)


class Fact(Shape):
    """What an event says: its `data`."""

    name: ClassVar[str]
    """Of its type on the wire, `casegrid.<name>.v1`."""

    @property
    def topic(self) -> str:
        """Where it is published: on the topic of its type, unless it is for one reader alone."""
        return self.name


class Claimed(Fact):
    """A fact that somebody may report later than it happened, or with a wrong clock.

    The envelope's `time` is the instant that counts, which is when it reached Casegrid, except where a case was entered
    long after the fact. What was claimed instead stands here, and decides nothing.
    """

    claimed_at: Instant | None = None
    """When it happened by the word of whoever reports it, where another instant counts."""
    time_doubtful: Flag = False
    """The claimed time cannot be: it lies ahead, or before what it follows."""


class Point(Shape):
    """A position in WGS 84, degrees."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    """Latitude, positive to the north."""
    lon: Annotated[Number, Field(ge=-180, le=180)]
    """Longitude, positive to the east."""


class Place(Shape):
    """Where: any of a position, an address in words, and the area they resolved to (absent: a person must decide)."""

    point: Point | None = None
    """The position."""
    address: Line | None = None
    """The address in words."""
    area: AreaPath | None = None
    """The area that the position lies in, or else the one that was named, or that the address means."""
    key_place: Name | None = None
    """The id of the school, hospital, gas station ... at that position (places.json); it raises the priority."""


_REST = "(?:-+[a-z0-9]+)*"  # of a label, which neither begins nor ends with a hyphen
_TOKEN = "[0-9A-Za-z.+_-]+"
# The last label begins with a letter, so that no form of an address passes: readers take what ends in a number for one.
_PUBLIC = (
    rf"^https://(?:[a-z0-9]+{_REST}\.)+[a-z][a-z0-9]*{_REST}"
    r"(?:[/?](?:[!\x24&-;=?-Z_a-z~]|%[0-9A-Fa-f]{2})*)?$"
)
_INTERNAL = r"^https://[^/?]*\.(?:arpa|consul|corp|docker|home|internal|intra|intranet|lan|local|localdomain|localhost|private|svc|workgroup)(?:[/?]|$)"
AttachmentUri = Annotated[
    str,
    Field(min_length=1, max_length=2_000),
    Written(
        _PUBLIC,
        "must be an https URI of a public host by its name, such as https://photos.example/7.jpg: no address, port,"
        " user or fragment, no name within a network such as .local or .internal, all in ASCII, the host in lower case",
        never=_INTERNAL,
    ),
]
"""Where something lies that whoever looks at a case may fetch. It must not lead a service or a browser inside."""
MediaType = Annotated[
    str,
    Field(max_length=100),
    Written(rf"^{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}={_TOKEN})*$", "must be a media type, such as image/jpeg"),
]
"""A type and a subtype, with or without parameters (RFC 6838)."""


class Attachment(Shape):
    """A photo, a recording, a document: where it lies, and the hash of its bytes (SHA-256, hexadecimal)."""

    uri: AttachmentUri
    """Where it lies: https, a public host by its name, no port."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of its bytes, hexadecimal."""
    media_type: MediaType | None = None
    """What it is: `image/jpeg`."""

    @property
    def lasts(self) -> bool:
        """Whether it may be said again: one that was kept from before there was the rule may break it."""
        try:
            type(self).model_validate(dict(self))
        except ValidationError:
            return False
        return True


Attachments = Annotated[tuple[Attachment, ...], Field(max_length=50)]
"""Photos, recordings and documents."""

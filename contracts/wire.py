"""Bytes <-> events: the tables of types and topics, and the two pure functions every publisher and reader uses.

build    fact + circumstances -> (event, bytes), once, at append
parse    bytes from a topic -> event, or `Invalid` that names the field and the rule
reread   bytes from a store of our own -> event

A record is I-JSON (RFC 7493): no key twice, no number that is not finite, no integer beyond 2^53-1, no half of a
surrogate pair; only noncharacters pass. Objects and lists stand in each other 100 deep at most. Beyond that a record is
what its type's published JSON Schema says, exactly.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, get_origin

import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.dispatch import Resolved
from contracts.envelope import Event, PartnerEvent
from contracts.feedback import Evaluated
from contracts.fields import CASE_ID, FROM, KEPT, MAX_INTEGER, TO, Fact, instant, is_list, is_object
from contracts.homes import DECIDERS, HOMES, TELLERS, partner_source
from contracts.intake import REPORT_BYTES, ReportFiled
from contracts.notice import Notice
from contracts.progress import PUBLISHERS, Progressed
from contracts.request import Request
from contracts.superseded import is_moved, upcast, without_old_links
from contracts.times import ahead
from contracts.triage import Assigned

MAX_BYTES = 256 * 1024
"""Of one event, as bytes on the wire."""
MAX_DEPTH = 100
"""Of objects and lists in each other, the record itself the first: far below where any JSON reader gives up."""

TYPES: Mapping[str, Any] = {
    "ReportFiled": ReportFiled,
    "Assigned": Assigned,
    "Resolved": Resolved,
    "Evaluated": Evaluated,
    "Progressed": Progressed,
    "Request": Request,
    "Notice": Notice,
}
"""Name of a type -> what its `data` may be. The current version's type is `casegrid.<name>.v1`."""

TOPICS = ("ReportFiled", "Assigned", "Resolved", "Evaluated", "Progressed")
"""The topics that are there in every installation; each holds the type of its name. Partners have two more each."""

VERSION = 1

ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(PartnerEvent[data] if name == "Request" else Event[data])  # pyright: ignore[reportInvalidTypeForm]  built per type
    for name, data in TYPES.items()
}
_TAGGED = frozenset(name for name, data in TYPES.items() if get_origin(data) is Annotated)
"""The types whose `data` is a union, told apart by one of its fields."""
_ENVELOPE: TypeAdapter[Event[Any]] = TypeAdapter(Event[Any])
_SOURCE = re.compile(rb'^\{"specversion":"1\.0","source":"(/[a-z]+/[a-z0-9-]+)","id":"([0-9a-f-]{36})"')
_NUL = rb"\u0000"


class Invalid(Exception):
    """The bytes are not a valid event of that topic; the message names the field and the rule.

    `kind` is `forged` where they come from another source than the topic's own, else `invalid`.
    """

    def __init__(self, words: str, kind: Literal["invalid", "forged"] = "invalid") -> None:
        super().__init__(words)
        self.kind = kind


class Unreadable(Exception):
    """A record in a store of our own cannot be read: a defect, or data of another version. The message names it."""


class TooLarge(ValueError):
    """An event would exceed its limit of bytes; nothing was appended."""


class HoldsNul(ValueError):
    """An event would hold the character U+0000, which no record may; nothing was appended."""


def type_of(name: str) -> str:
    """The current type of that name."""
    return f"casegrid.{name}.v{VERSION}"


def schema_of(name: str) -> str:
    """The `dataschema` URI of the current type of that name."""
    return f"urn:casegrid:schema:{name}:v{VERSION}"


def most_bytes(name: str) -> int:
    """How many bytes an event of that type may have where it is made."""
    return REPORT_BYTES if name == "ReportFiled" else MAX_BYTES


def name_on(topic: str) -> str:
    """The name of the one type that a topic holds. Raises `KeyError` where there is no such topic."""
    if topic.startswith(FROM):
        return "Request"
    if topic.startswith(TO):
        return "Notice"
    if topic in TOPICS:
        return topic
    raise KeyError(topic)


def partner_of(topic: str) -> str | None:
    """The partner that writes or reads a topic; None of the topics of facts."""
    return topic.partition(".")[2] or None


def writes(source: str, topic: str) -> bool:
    """Whether a source may write a topic. On Progressed any that decides may; each its own steps only."""
    if topic.startswith(FROM):
        return source == partner_source(topic.removeprefix(FROM))
    if topic.startswith(TO):
        return source in TELLERS
    return source == HOMES[topic] if topic in HOMES else source in DECIDERS


class Circumstances(NamedTuple):
    """What stands around a fact in its envelope. Instants are in UTC; a partner's request may lack a `sequence`."""

    event_id: str
    source: str
    subject: str
    time: datetime
    recorded: datetime
    sequence: int | None
    cause: str | None = None
    actor: str | None = None
    traceparent: str | None = None


def build(data: Fact, around: Circumstances) -> tuple[Any, bytes]:
    """The event, and the exact bytes that are stored, sent, hashed and replayed from now on.

    Raises `TooLarge`, and `ValidationError` where an attribute breaks the contract (a defect of the caller). Links that
    the rule came later than are left out: readers would refuse all of the fact for them.
    """
    data = without_old_links(data)
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "source": around.source,
        "id": around.event_id,
        "type": type_of(data.name),
        "subject": around.subject,
        "time": around.time,
        "recordedtime": around.recorded,
        "datacontenttype": "application/json",
        "dataschema": schema_of(data.name),
        "partitionkey": around.subject,
        "correlationid": around.subject,
    }
    if around.sequence is not None:
        attributes["sequence"] = f"{around.sequence:010d}"
    if around.cause is not None:
        attributes["causationid"] = around.cause
    if around.actor is not None:
        attributes["actor"] = around.actor
    if around.traceparent is not None:
        attributes["traceparent"] = around.traceparent
    attributes["data"] = data
    event = (_ENVELOPE if data.name != "Request" else _PARTNER_ENVELOPE).validate_python(attributes)
    attributes["time"], attributes["recordedtime"] = instant(around.time), instant(around.recorded)
    attributes["data"] = orjson.Fragment(data.__pydantic_serializer__.to_json(data, exclude_none=True))
    raw = orjson.dumps(attributes)
    if _NUL in raw and _holds_nul(orjson.loads(raw)):
        raise HoldsNul("a text may not contain the character U+0000")
    if len(raw) > most_bytes(data.name):
        raise TooLarge(f"data: the event has {len(raw)} bytes, more than {most_bytes(data.name)}")
    return event, raw


_PARTNER_ENVELOPE: TypeAdapter[PartnerEvent[Any]] = TypeAdapter(PartnerEvent[Any])


def parse(topic: str, raw: bytes) -> Any:
    """The event in `raw`, a record's value on `topic`: an `Event`, on `from.<partner>` a `PartnerEvent`.

    Its type says what it is, the topic which type that must be and who may say it. Raises `Invalid`.
    """
    return _parsed(topic, raw, None)


def _parsed(topic: str, raw: bytes, context: Any) -> Any:
    if len(raw) > MAX_BYTES:
        raise Invalid(f"the record has {len(raw)} bytes, more than {MAX_BYTES}")
    attributes = read_json(raw)
    if not is_object(attributes):
        raise Invalid("record: is no JSON object")
    source = attributes.get("source")
    if isinstance(source, str) and not writes(source, topic):
        raise Invalid(f"source: {source[:100]} does not write {topic}", "forged")
    if "data_base64" in attributes and "data" not in attributes:
        raise Invalid("data_base64: is not read; an event's data is JSON and stands in data")
    name = name_on(topic)
    kind = attributes.get("type")
    try:
        if isinstance(kind, str) and (kind != type_of(name) or is_moved(attributes)):
            name, attributes = upcast(name, kind, attributes, type_of)
            raw = orjson.dumps(attributes)
        event = ADAPTERS[name].validate_json(raw, extra="ignore", context=context)
    except ValidationError as error:
        raise Invalid(explain(error, tagged=name in _TAGGED)) from None
    except ValueError as fault:
        raise Invalid(str(fault)) from None
    if name == "Progressed" and event.source not in PUBLISHERS[event.data.step]:
        raise Invalid(f"source: {event.source} does not say {event.data.step}", "forged")
    if name != "Request" and context is None and (words := ahead(event.time, event.recordedtime)) is not None:
        raise Invalid(f"time: {words}, its recordedtime")
    if name == "Notice" and event.data.to != partner_of(topic):
        raise Invalid(f"data.to: {event.data.to} does not read {topic}")
    return event


def reread(topic: str, raw: bytes) -> Any:
    """The event in bytes that `parse` took before, or `build` made: read from a store of our own, at half the cost.

    Raises `Unreadable`.
    """
    name = name_on(topic)
    try:
        event = ADAPTERS[name].validate_json(raw, extra="ignore", context=KEPT)
        if event.type == type_of(name):
            return event
    except ValidationError:
        pass  # of a superseded form
    try:
        return _parsed(topic, raw, KEPT)
    except Invalid as fault:
        raise Unreadable(f"a stored record on {topic} cannot be read ({_which(raw)}): {fault}") from fault


def _which(raw: bytes) -> str:
    """The event in a record that may be none, for whoever is to look for it."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    names = {name: value.get(name) for name in ("source", "id", "subject")} if is_object(value) else {}
    return ", ".join(f"{name} {str(one)[:100]}" for name, one in names.items()) or f"of {len(raw)} bytes, not JSON"


def read_json(raw: bytes) -> Any:
    """The value in `raw`. Raises `Invalid` where it is not I-JSON, or holds U+0000."""
    value = parse_json(raw)
    if _NUL in raw and _holds_nul(value):
        raise Invalid("record: holds the character U+0000")
    return value


def parse_json(raw: bytes) -> Any:
    """The value in `raw`, U+0000 or not. Raises `Invalid` where it is not I-JSON."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        raise Invalid(f"record: is not JSON: {fault}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper(value):
        raise Invalid(f"record: is nested more than {MAX_DEPTH} deep")
    if not _as_we_write(value, raw):
        _scrutinise(raw)
    return value


def _as_we_write(value: Any, raw: bytes) -> bool:
    """Whether `raw` is what we write for `value`: then no key is there twice, and every number is one that may be.
    Anything else is looked at key by key.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == raw
    except orjson.JSONEncodeError:  # an integer beyond 2^53-1
        return False


def identity(raw: bytes) -> tuple[str, str] | None:
    """(source, id) of an event that `build` wrote, read without parsing it; None for anybody else's bytes."""
    match = _SOURCE.match(raw)
    return (match[1].decode(), match[2].decode()) if match else None


_RULES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a field here",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "dataclass_type"), "must be an object"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    "string_type": "must be a text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("literal_error", "enum"), "must be one of {expected}"),
    "union_tag_invalid": "must be one of {expected_tags}",
    "union_tag_not_found": "is required",
    "string_too_short": "must have {min_length} characters at least",
    "string_too_long": "must have {max_length} characters at most",
    "too_short": "must have {min_length} entries at least",
    "too_long": "must have {max_length} entries at most",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
}
"""Type of a pydantic error -> the rule in our words; of any other type pydantic's message counts, with "must"."""
_SHOULD = re.compile(r"^[A-Z][a-z]+ should ")
_ONE_OF = "must be one of "
_VARIANT = re.compile(r"^([a-z-]+\[.*\]|str|int|float|bool|datetime|constrained-str)$", re.DOTALL)
"""Of a field that may be of several kinds: which of them an error speaks of."""


def rule_of(error: Mapping[str, Any]) -> str:
    """The rule of one of a validation error's `errors()`, in our words where we have any."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch" and context.get("pattern") == CASE_ID.pattern:
        return "must be a UUID in lower case"
    if kind not in _RULES:
        return _SHOULD.sub("must ", error["msg"].removeprefix("Value error, "))
    return _RULES[kind].format_map(
        {name: _listed(value) if "expected" in name else value for name, value in context.items()}
    )


def _listed(expected: str) -> str:
    """Words in quotes, the last after "or", as words with commas between them."""
    return ", ".join(re.findall(r"'([^']*)'", expected)) or expected


def path_of(error: Mapping[str, Any], begin: int = 0, *, tagged: bool = False) -> str:
    """The field that one of a validation error's `errors()` speaks of, from that place in its `loc` on.

    `tagged`: `data` is a union, of which the next part names the member and no field.
    """
    parts = [str(part) for part in error["loc"]][begin:]
    if tagged and parts[:1] == ["data"]:
        del parts[1:2]
    if len(parts) > 1 and _VARIANT.match(parts[-1]):
        parts.pop()
    if error["type"].startswith("union_tag_"):
        parts.append(_listed(error["ctx"]["discriminator"]))
    return ".".join(parts)


def broken(errors: Iterable[Mapping[str, Any]], begin: int = 0, *, tagged: bool = False) -> list[tuple[str, str]]:
    """(field, rule) of each field: where it may be of several kinds, the rules of all of them in one."""
    found: dict[str, list[str]] = {}
    for error in errors:
        rules, rule = found.setdefault(path_of(error, begin, tagged=tagged), []), rule_of(error)
        both = rules and rules[-1].startswith(_ONE_OF) and rule.startswith(_ONE_OF)
        if both:
            rules[-1] += f", {rule.removeprefix(_ONE_OF)}"
        elif rule not in rules:
            rules.append(rule)
    return [(field, ", or ".join(rules)) for field, rules in found.items()]


def explain(error: ValidationError, *, tagged: bool = False) -> str:
    """A validation error in one line: each field with the rule it breaks, the first five of them."""
    found = broken(error.errors(include_url=False, include_input=False), tagged=tagged)
    lines = [f"{field or 'record'}: {rule}" for field, rule in found[:5]]
    if len(found) > 5:
        lines.append(f"and {len(found) - 5} more")
    return "; ".join(lines)


def _holds_nul(value: Any) -> bool:
    if is_object(value):
        return any("\0" in name or _holds_nul(inner) for name, inner in value.items())
    if is_list(value):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _deeper(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _scrutinise(raw: bytes) -> None:
    try:
        json.loads(raw, object_pairs_hook=_distinct, parse_int=_bounded, parse_constant=_refused)
    except ValueError as fault:  # bytes that another JSON reader does not take
        raise Invalid(f"record: is not JSON: {fault}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Invalid(f"{twice[:100]}: is there twice")
    return found


def _bounded(digits: str) -> int:
    if len(digits.lstrip("-")) > 16 or abs(int(digits)) > MAX_INTEGER:
        raise Invalid(f"record: the integer {digits[:30]} lies beyond 2^53-1")
    return int(digits)


def _refused(word: str) -> Any:
    raise Invalid(f"record: {word} is no JSON number")

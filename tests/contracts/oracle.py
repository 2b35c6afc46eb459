"""What a record must be, said a second time, independently of the parser: I-JSON, the published schema, who says it."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from contracts.export.schemas import schema
from contracts.wire import TYPES

MOST_BYTES = 262_144
MOST_INTEGER = 9_007_199_254_740_991
MOST_DEPTH = 100
"""Objects and lists in each other, the record itself the first."""

_WRITERS = {
    "ReportFiled": {"intake"},
    "Assigned": {"triage"},
    "Resolved": {"dispatch"},
    "Evaluated": {"feedback"},
    "Progressed": {"intake", "triage", "dispatch", "feedback"},
    "to": {"intake", "dispatch"},
}


class Wrong(Exception):
    """The bytes are not what they must be; the message says in which way."""


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """`$` is the end of the text, as in ECMA-262, and not also the place before a line feed, as in Python."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})
VALIDATORS = {name: _Validator(schema(name)) for name in TYPES}
"""Type -> what validates records by its published schema."""


BEYOND: Mapping[str, Callable[[str, Any], bool]] = {
    "one case": lambda _, record: record["subject"] == record["partitionkey"] == record["correlationid"],
    "its source": lambda topic, record: record["source"] in _writers(topic),
    "its reader": lambda topic, record: not topic.startswith("to.") or record["data"]["to"] == topic[3:],
    "its time": lambda topic, record: topic.startswith("from.") or not _ahead(record["time"], record["recordedtime"]),
}
"""What no JSON Schema can say of a record of that topic, once it is I-JSON of the size and depth that may be, and keeps
to the schema. contracts/README.md has the same list, and what holds of the record around its value.
"""


def faults(topic: str, raw: bytes) -> str | None:
    """Why the bytes are no record that may lie on that topic; None where they are one."""
    try:
        return "too large" if len(raw) > MOST_BYTES else _of_record(topic, i_json(raw))
    except Wrong as wrong:
        return str(wrong)


def _of_record(topic: str, record: Any) -> str | None:
    kind = topic.partition(".")[0]
    validator = VALIDATORS[{"from": "Request", "to": "Notice"}.get(kind, kind)]
    if (error := next(validator.iter_errors(record), None)) is not None:
        return f"schema: {error.message[:200]}"
    return next((f"not {rule}" for rule, kept in BEYOND.items() if not kept(topic, record)), None)


def _writers(topic: str) -> set[str]:
    kind, _, partner = topic.partition(".")
    return {f"/partners/{partner}"} if kind == "from" else {f"/services/{one}" for one in _WRITERS[kind]}


def _ahead(time: str, recorded: str) -> bool:
    return datetime.fromisoformat(time) - datetime.fromisoformat(recorded) > timedelta(hours=1)


def i_json(raw: bytes) -> Any:
    """The value in the bytes, read by rules of RFC 8259 and RFC 7493; noncharacters pass."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_word, parse_int=_integer, parse_float=_number
        )
    except (ValueError, RecursionError) as fault:
        raise Wrong(f"JSON: {fault}") from None
    _walk(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} twice")
        found[name] = value
    return found


def _word(word: str) -> Any:
    raise ValueError(word)


def _integer(digits: str) -> int:
    if len(digits) > 17 or not -MOST_INTEGER <= int(digits) <= MOST_INTEGER:
        raise ValueError("integer out of range")
    return int(digits)


def _number(digits: str) -> float:
    if not math.isfinite(float(digits)):
        raise ValueError("number out of range")
    return float(digits)


def _walk(value: Any) -> None:
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += [*each.values(), *each]
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, str) and any("\ud800" <= letter <= "\udfff" for letter in each):
                raise Wrong("half of a surrogate pair")
            elif isinstance(each, str) and "\0" in each:
                raise Wrong("U+0000")
        depth += any(isinstance(each, dict | list) for each in level)
        level = inner
    if depth > MOST_DEPTH:
        raise Wrong("nested too deeply")

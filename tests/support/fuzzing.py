"""Random and mutated calls of the operations of an OpenAPI document, and what may not come of them.

A call begins as an example of the document, or as values made from its schemas, and most calls then get one or two
faults: a value from a list of old enemies, a field left out, doubled or unknown, bytes that are no JSON. Whether the
result still keeps to the document is not known from how it was made: the document's own schemas judge it.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson
from jsonschema import Draft202012Validator

from chassis.web.paging import encode_cursor
from tests.support.examples import calls

INSTANTS = (
    *("0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59"),
    *("9999-12-31T23:59:59.999999-14:00", "2016-12-31T23:59:60Z", "2026-02-29T00:00:00Z", "2026-05-09T24:00:00Z"),
    *("2026-05-09T08:00:00", "2026-05-09", "2026-05-09T08:00Z", "2026-05-09T08:00:00.1234567Z", "2026-W19-6"),
    *("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+23:59", "2199-12-31T23:59:59.999999Z"),
    *("2200-01-01T00:00:00Z", "2199-12-31T23:59:59-23:59", "2026-05-09T08:00:00+24:00", "2026-05-09t08:00:00z"),
    *("２０２６-05-09T08:00:00Z", "2026-05-09 08:00:00Z", "1778313600", "0.5", "-1", "1e400", "now", "24:00"),
    *("2026-05-09T08:00:00+08:00", "2026-05-09T08:00:00Z"),
)
NUMBERS = (
    *("0", "1", "-1", "+1", " 1", "1 ", "01", "1.0", "0.5", "1e3", "1_0", "0x10", "٣", "１", "", "-0", "1.", ".5"),
    *(str(2**31), str(2**53 - 1), str(2**53), str(2**63 - 1), str(2**63), str(2**64), str(-(2**63)), "9" * 50),
    *("9" * 5000, "1e400", "NaN", "Infinity", "-Infinity", "true", "null", "200", "201"),
)
TEXTS = (
    *("", " ", "\t", "\n", "\0", "a\0b", "\x7f", "\u200b", "\ufffe", "\ufeff", "水", "🚰" * 50, "e\u0301", "\u202eabc"),
    *("x" * 201, "x" * 501, "x" * 20_001, "%", "_", "%00", "%ff", "\\", "'", '"', "' OR 1=1 --", "../..", "a/b", ";"),
    *("null", "true", "false", "yes", "on", "None", "[]", "{}", "<script>", "${x}", "{0}", "%s", "CH", "CH/", "/CH"),
)
FLAGS = ("true", "false", "True", "1", "0", "yes", "no", "on", "off", "t", "n", "2", "", "null", "tru")
VALUES: Sequence[Any] = (
    *(None, True, False, 0, 1, -1, 0.5, 1.0, -0.0, 1e308, 2**31, 2**53 - 1, 2**53, 2**63, 10**50, [], {}, [None]),
    *("", "1", "true", [[]], [{}], {"": None}, ["x", "x"], "x" * 20_001),
)
CURSORS: Sequence[str] = (
    *(encode_cursor([*key]) for key in ([], [None], ["abc"], ["1"], [1], [0], [-1], [1.5], [2**63], [True], [[1]])),
    *(encode_cursor([at, text]) for at in INSTANTS[:9] for text in ("x", 7, None)),
    *(encode_cursor([at, "2026-05-09T08:00:00Z", "x"]) for at in INSTANTS[:3]),
    *(encode_cursor(["2026-05-09T08:00:00.000000Z", text]) for text in ("", "\0", "x", "9" * 400)),
    *(
        "",
        "%",
        "a",
        "é",
        "W10",
        "bnVsbA",
        "e30",
        "MQ",
        "ImEi",
        "W1tbW1tbW1tb",
        "gA",
        "____",
        "W" * 500,
        "W" * 501,
        "==",
    ),
)
HEADERS: Mapping[str, Sequence[str]] = {
    "If-Match": (
        '"1"',
        '"0"',
        '"7"',
        "1",
        'W/"1"',
        '"x"',
        "",
        "*",
        '"1", "2"',
        '"-1"',
        f'"{2**63}"',
        '"' + "9" * 18 + '"',
    ),
    "If-None-Match": ("*", "", '"x"', 'W/"x"', ",", '"x", *', "x" * 3000),
    "Idempotency-Key": ("a1", "", "x" * 200, "x" * 201, "a\x7f", "caf\xe9", "a b", "\xff"),
    "Last-Event-ID": ("1", "0", "-1", "x", "", "9" * 50, str(2**63), "2026-05-09T08:00:00Z"),
    "Accept": ("text/html", "*/*", "", "application/xml"),
    "Content-Type": ("application/json", "text/plain", "", "application/json; charset=utf-16", "multipart/form-data"),
    "traceparent": ("", "00-0-0-00", "00-" + "f" * 32 + "-" + "f" * 16 + "-01", "x" * 2000, "\xff"),
    "Expect": ("100-continue",),
    "Range": ("bytes=0-0", "bytes=5-1"),
    "Cookie": ("a=b", "\xff"),
    "X-Forwarded-For": ("1.2.3.4", "x"),
    "Host": ("elsewhere.example", "a b"),
    "Upgrade": ("websocket", "h2c"),
}
RAW: Sequence[bytes] = (
    *(
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"\xff\xfe",
        b"{}{}",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"at": 1, "at": 2}',
    ),
    *(b"[" * 2000, b'{"a":' * 500, b'{"reason": "\\ud800"}', b'{"reason": "\\u0000"}', b'\xef\xbb\xbf{"reason": "x"}'),
    *(b'{"__proto__": {}}', b" " * 5000, b'{"reason": ' + b"9" * 5000 + b"}"),
)


@dataclass(frozen=True)
class Attempt:
    """A call as it is sent. `breaks` names what the document forbids of it."""

    operation: str
    method: str
    path: str
    """As the document has it, with its parameters in braces."""
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    breaks: tuple[str, ...]

    def __str__(self) -> str:
        said = {name: value for name, value in self.headers.items() if name != "authorization"}
        return f"{self.method} {self.url[:600]} {said} {(self.content or b'')[:600]!r}"


@dataclass
class Known:
    """What answers have named: parameter of a path -> its values."""

    values: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def learn(self, name: str, value: Any, most: int = 40) -> None:
        """Keeps a value that a parameter of a path may have."""
        found = self.values.setdefault(name, [])
        if isinstance(value, str | int) and str(value) not in found and len(found) < most:
            found.append(str(value))

    def learn_from(self, body: Any) -> None:
        """Keeps what the answer's fields name."""
        if isinstance(body, dict):
            for name, value in body.items():
                if name in self.values:
                    self.learn(name, value)
                else:
                    self.learn_from(value)
        elif isinstance(body, list):
            for value in body:
                self.learn_from(value)


class Document:
    """A service's OpenAPI document, and its schemas as validators."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, Draft202012Validator] = {}
        self.operations = [
            (method.upper(), path, described)
            for path, found in document["paths"].items()
            for method, described in found.items()
        ]
        self.examples: dict[str, list[Any]] = {}
        for call in calls(document):
            self.examples.setdefault(call.operation, []).append(call)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema itself, where it is a reference."""
        while "$ref" in schema:
            found: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def wrong(self, schema: Mapping[str, Any], value: Any) -> str | None:
        """Where a value breaks a schema; None if it keeps to it."""
        key = str(id(schema))
        if key not in self._validators:
            self._validators[key] = Draft202012Validator({**schema, "components": self.document["components"]})
        for fault in self._validators[key].iter_errors(value):
            return f"{fault.json_path}: {fault.message[:200]}"
        return None

    def wrong_text(self, schema: Mapping[str, Any], text: str) -> str | None:
        """The same of a text in a path, a query or a header, in any reading that the schema has."""
        readings = [text, *_readings(text)]
        found = [self.wrong(schema, reading) for reading in readings]
        return None if None in found else found[0]


def _readings(text: str) -> Iterator[Any]:
    if text in ("true", "false"):
        yield text == "true"
    unsigned = text.removeprefix("-")
    if unsigned.isascii() and unsigned.isdigit() and len(text) < 100 and (unsigned == "0" or unsigned[0] != "0"):
        yield int(text)


class Fuzzer:
    """Draws calls of a document's operations; the same ones from the same seed and the same answers."""

    def __init__(self, document: Document, seed: int, known: Known, callers: Sequence[Mapping[str, str]]) -> None:
        """The first of the callers may do everything, and calls most."""
        self._document = document
        self._random = random.Random(seed)
        self._known = known
        self._callers = callers

    def draw(self, method: str, path: str, described: Mapping[str, Any]) -> Attempt:
        """One call of an operation."""
        chance, breaks = self._random, list[str]()
        headers = dict(self._callers[0] if chance.random() < 0.93 else chance.choice(self._callers))
        parameters = [self._document.resolved(one) for one in described.get("parameters", ())]
        values = {one["name"]: self._parameter(one, breaks) for one in parameters if one["in"] == "path"}
        url = path
        for name, value in values.items():
            url = url.replace("{" + name + "}", quote(value, safe="", errors="surrogatepass"))
        url += self._query([one for one in parameters if one["in"] == "query"], breaks)
        self._add_headers([one for one in parameters if one["in"] == "header"], headers, breaks)
        content = self._body(described, headers, breaks)
        return Attempt(described["operationId"], method, path, url, headers, content, tuple(breaks))

    def _parameter(self, one: Mapping[str, Any], breaks: list[str]) -> str:
        chance, name, schema = self._random, one["name"], one["schema"]
        known = self._known.values.get(name, ())
        if one["in"] == "path" and known and chance.random() < 0.8:
            return chance.choice(known)
        text = self._text(name, schema)
        if one["in"] == "path" and text in ("", ".", ".."):  # another path, or none
            text = "x"
        if (fault := self._document.wrong_text(schema, text)) is not None:
            breaks.append(f"{name}: {fault}")
        return text

    def _text(self, name: str, schema: Mapping[str, Any]) -> str:
        chance = self._random
        examples, enum = _leaves(schema, "examples"), _leaves(schema, "enum")
        if name == "cursor":
            return chance.choice(CURSORS)
        if (examples or enum) and chance.random() < 0.5:
            text = str(chance.choice([*examples, *enum]))
            return text.lower() if text in ("True", "False") else text
        kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
        pools = [TEXTS]
        pools += [NUMBERS] * (3 if "integer" in kinds else 1)
        pools += [FLAGS] * (3 if "boolean" in kinds else 0)
        pools += [INSTANTS] * (3 if "date-time" in str(schema.get("format", schema.get("anyOf", ""))) else 1)
        return chance.choice(chance.choice(pools))

    def _query(self, parameters: Sequence[Mapping[str, Any]], breaks: list[str]) -> str:
        chance, pairs = self._random, list[tuple[str, str]]()
        for one in parameters:
            if chance.random() < (0.95 if one.get("required") else 0.35):
                pairs.append((one["name"], self._parameter(one, breaks)))
            elif one.get("required"):
                breaks.append(f"{one['name']}: is missing")
        if chance.random() < 0.03:
            pairs.append((chance.choice(("x", "", "limit ", "cursor[]", "_", "\0", "水")), chance.choice(TEXTS)))
            breaks.append(f"{pairs[-1][0]}: is unknown")
        if pairs and chance.random() < 0.02:
            pairs.append(chance.choice(pairs))
            breaks.append(f"{pairs[-1][0]}: is given twice")
        if not pairs:
            return ""
        return "?" + urlencode(pairs, errors="surrogatepass")

    def _add_headers(self, declared: Sequence[Mapping[str, Any]], headers: dict[str, str], breaks: list[str]) -> None:
        chance = self._random
        for one in declared:
            if chance.random() < 0.4:
                headers[one["name"]] = text = chance.choice(HEADERS[one["name"]])
                if (fault := self._document.wrong_text(one["schema"], text.strip(" \t"))) is not None:
                    breaks.append(f"{one['name']}: {fault}")
        if chance.random() < 0.05:
            name = chance.choice([*HEADERS])
            if name not in headers and name != "Content-Type":
                headers[name] = chance.choice(HEADERS[name])

    def _body(self, described: Mapping[str, Any], headers: dict[str, str], breaks: list[str]) -> bytes | None:
        chance = self._random
        if "requestBody" not in described:
            return chance.choice(RAW) if chance.random() < 0.02 else None
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        headers["content-type"] = "application/json"
        draw = chance.random()
        if draw < 0.04:
            content = chance.choice(RAW)
        else:
            examples = [call.body for call in self._document.examples.get(described["operationId"], ())]
            value: Any = chance.choice(examples) if examples and draw < 0.6 else self._value(schema, 0)
            for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3))):
                value = self._mutated(value)
            content = json.dumps(value).encode()
        if chance.random() < 0.02:
            headers["content-type"] = chance.choice(HEADERS["Content-Type"])
        if not headers["content-type"].startswith("application/json") and content:
            breaks.append("Content-Type: is not JSON")
        try:
            fault = self._document.wrong(schema, orjson.loads(content))
        except orjson.JSONDecodeError:
            fault = "is no JSON"
        if fault is not None:
            breaks.append(f"body: {fault}")
        return content

    def _value(self, schema: Mapping[str, Any], depth: int) -> Any:
        """Something like what a schema describes, and old enemies among it."""
        chance, schema = self._random, self._document.resolved(schema)
        if depth > 6 or chance.random() < 0.04:
            return chance.choice(VALUES)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return chance.choice(schema["enum"])
        if schema.get("examples") and chance.random() < 0.7:
            return chance.choice(schema["examples"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._value(chance.choice(schema[several]), depth + 1)
        if "allOf" in schema:
            return self._value(schema["allOf"][0], depth + 1)
        match schema.get("type"):
            case "object":
                required = schema.get("required", ())
                return {
                    name: self._value(inner, depth + 1)
                    for name, inner in schema.get("properties", {}).items()
                    if chance.random() < (0.97 if name in required else 0.4)
                }
            case "array":
                size = chance.choice((0, 1, 1, 2, 3, schema.get("maxItems", 3) + 1))
                return [self._value(schema.get("items", {}), depth + 1) for _ in range(min(size, 60))]
            case "integer":
                return chance.choice((0, 1, 2, 5, schema.get("minimum", -1), schema.get("maximum", 9), 2**53))
            case "number":
                return chance.choice((0, 1.5, -1.5, schema.get("minimum", -1.0), schema.get("maximum", 9.0), 1e300))
            case "boolean":
                return chance.random() < 0.5
            case "null":
                return None
            case _:
                return chance.choice(chance.choice((TEXTS, INSTANTS)))

    def _mutated(self, value: Any) -> Any:
        """The same with one thing changed, anywhere in it."""
        chance = self._random
        if isinstance(value, dict) and value and chance.random() < 0.9:
            name = chance.choice([*value])
            match chance.randrange(8):
                case 0:
                    return {key: inner for key, inner in value.items() if key != name}
                case 1:
                    return {**value, chance.choice(("x", "", "id", "source", "__class__", name.upper())): 1}
                case 2:
                    return {**value, name: chance.choice(VALUES)}
                case 3:
                    return {**value, name: chance.choice(chance.choice((TEXTS, INSTANTS, NUMBERS)))}
                case 4:
                    return {**value, name: _turned(value[name])}
                case _:
                    return {**value, name: self._mutated(value[name])}
        if isinstance(value, list) and value and chance.random() < 0.9:
            at = chance.randrange(len(value))
            changed = [self._mutated(value[at]), chance.choice(VALUES)]
            return chance.choice(
                (
                    [*value, *value],
                    value[:at] + value[at + 1 :],
                    *([*value[:at], one, *value[at + 1 :]] for one in changed),
                )
            )
        return chance.choice((chance.choice(VALUES), chance.choice(TEXTS), chance.choice(INSTANTS), _turned(value)))


def _turned(value: Any) -> Any:
    """The same in another type: what a lenient reader takes for it."""
    match value:
        case bool():
            return "yes" if value else 0
        case int() | float():
            return str(value)
        case str():
            return [value]
        case list():
            return {"0": value}
        case dict():
            return [value]
        case _:
            return "null"


def _leaves(schema: Mapping[str, Any], name: str) -> list[Any]:
    return [*schema.get(name, ()), *(found for one in schema.get("anyOf", ()) for found in _leaves(one, name))]


def faults(document: Document, attempt: Attempt, answer: httpx.Response) -> list[str]:
    """What may not be of an answer."""
    described = document.document["paths"][attempt.path][attempt.method.lower()]["responses"]
    status = str(answer.status_code)
    found: list[str] = []
    if answer.status_code >= 500 and not (attempt.path == "/ready" and status == "503"):
        found.append(f"server error {status}: {answer.text[:300]}")
    if answer.status_code < 400 and attempt.breaks:
        found.append(f"accepted with {status}, though {attempt.breaks}")
    if status not in described:
        return [*found, f"undocumented status {status}: {answer.text[:300]}"]
    content = document.resolved(described[status]).get("content")
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if content is None:
        return [*found, f"{status} has a body, but none is documented"] if answer.content else found
    if kind not in content:
        return [*found, f"undocumented content type {kind!r} of {status}: {answer.text[:200]}"]
    if kind.endswith("json"):
        fault = document.wrong(content[kind]["schema"], answer.json())
        found += [f"{status} breaks its schema: {fault}"] if fault is not None else []
    if answer.status_code >= 400 and kind != "application/problem+json":
        found.append(f"{status} is no problem+json")
    return found

"""Each kind of poison: the batch that is laid on a topic, and the reason that must be given for it.

Most are one change of a record that would be taken otherwise, so that it is that change which is refused.
"""

import base64
import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import cramjam
import orjson

from chassis.ids import uuid7
from contracts.fields import FROM, TO
from deploy.bench.chain import PARTNER
from tests.contracts.mutations import changed, whole
from tests.support.batches import Header, batch, record

LISTENER = "listener"
"""A partner that reads its topic with nobody's program."""
CONTENT = (b"content-type", b"application/cloudevents+json")
_SOUND = {
    "ReportFiled": "ReportFiled.new",
    "Assigned": "Assigned.dispatched",
    "Resolved": "Resolved.fixed",
    "Evaluated": "Evaluated.closed",
    "Progressed": "Progressed.on_scene",
    f"{FROM}{PARTNER}": "Request.report",
    f"{TO}{LISTENER}": "Notice.ruled",
}
"""Topic -> an example of what is said there."""
TOPICS = tuple(_SOUND)
Make = Callable[[str], bytes]
"""Topic -> the batch."""
KINDS: dict[str, tuple[str, Make]] = {}
"""Name -> the reason, as a regular expression, and the batch."""
BATCHES: set[str] = set()
"""Of these, the ones whose batch is not what it says."""


def sound(topic: str) -> dict[str, Any]:
    """What could be said there, of a case that is new."""
    tree = whole(_SOUND[topic])
    case, now = uuid7(datetime.now(UTC)), datetime.now(UTC)
    tree |= {"id": uuid7(now), "subject": case, "partitionkey": case, "correlationid": case}
    tree |= dict.fromkeys(("time", "recordedtime"), f"{now:%Y-%m-%dT%H:%M:%S.%fZ}")
    if topic.startswith(FROM):
        tree["source"] = f"/partners/{PARTNER}"
    if topic.startswith(TO):
        tree["data"]["to"] = LISTENER
    return tree


def laid(value: bytes | None, key: bytes | None, headers: Sequence[Header] = (CONTENT,)) -> bytes:
    """A batch of this record."""
    return batch([record(0, value, key=key, headers=headers)])


def kind(name: str, reason: str) -> Callable[[Make], Make]:
    """A kind that makes its whole batch."""

    def keep(make: Make) -> Make:
        assert name not in KINDS
        KINDS[name] = reason, make
        return make

    return keep


def bytes_of(name: str, reason: str, change: Callable[[bytes], bytes]) -> None:
    """A kind that changes the bytes of a sound event."""

    @kind(name, reason)
    def make(topic: str) -> bytes:
        tree = sound(topic)
        return laid(change(orjson.dumps(tree)), tree["subject"].encode())


def beside(field: bytes) -> Callable[[bytes], bytes]:
    """A change that puts a field, as it is written, before the id."""
    return lambda raw: raw.replace(b'"id":', field + b',"id":', 1)


def instead(name: str, reason: str, value: bytes | None) -> None:
    """A kind that says something else than an event."""
    kind(name, reason)(lambda topic: laid(value, sound(topic)["subject"].encode()))


def attribute(name: str, reason: str, of: str, put: str | None) -> None:
    """A kind with something else, as it is written, in an attribute of the envelope, or without it."""

    @kind(name, reason)
    def make(topic: str) -> bytes:
        tree = sound(topic)
        return laid(changed(tree, (of,), put=put), tree["subject"].encode())


# ---- no event at all

instead("no value", "tombstone", None)
instead("nothing", "is not JSON", b"")
instead("words", "is not JSON", b"the pipe has burst")
instead("a number", "is no JSON object", b"7")
instead("null", "is no JSON object", b"null")
instead("a list", "is no JSON object", b"[{}]")
instead("an empty object", "is required", b"{}")
instead("CSV", "is not JSON", b"id,title\n1,leak\n")
instead("XML", "is not JSON", b"<event/>")
instead("bytes of an image", "is not JSON", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20)
instead("a deep list", "nested|is not JSON", b"[" * 100_000 + b"]" * 100_000)
instead("a deep object", "nested|is not JSON", b'{"a":' * 40_000 + b"1" + b"}" * 40_000)
instead("900,000 spaces", "more than 262144", b" " * 900_000)
bytes_of("half an event", "is not JSON", lambda raw: raw[: len(raw) // 2])
bytes_of("an event and more", "is not JSON", lambda raw: raw + b"{}")
bytes_of("a byte order mark", "is not JSON", lambda raw: b"\xef\xbb\xbf" + raw)
bytes_of("UTF-16", "is not JSON", lambda raw: raw.decode().encode("utf-16"))
bytes_of("Latin-1", "is not JSON", beside(b'"\xe9":1'))
bytes_of("a name twice", "twice", beside(b'"specversion":"1.0"'))
bytes_of("NaN", "is not JSON", beside(b'"x":NaN'))
bytes_of("a number beyond all", "is not JSON|number", beside(b'"x":1e999'))
bytes_of("2^53", "2\\^53|9007199254740991", beside(b'"x":9007199254740992'))
bytes_of(
    "a number of 5,000 digits",
    "number|2\\^53|JSON",
    beside(b'"x":' + b"9" * 5000),
)
bytes_of("U+0000", "U\\+0000", beside(b'"x":"\\u0000"'))
bytes_of("half of a pair", "is not JSON|surrogate", beside(b'"x":"\\ud800"'))
bytes_of("one byte too many", "more than 262144", lambda raw: raw + b" " * (262_145 - len(raw)))

# ---- attributes of the envelope

attribute("no id", "id: is required", "id", None)
attribute("an id that is none", "^id: ", "id", '"1"')
attribute("an id of 100,000 characters", "^id: ", "id", f'"{"x" * 100_000}"')
attribute("CloudEvents 0.3", "specversion: ", "specversion", '"0.3"')
attribute("no source", "source: is required", "source", None)
attribute("a source that is nobody", "source: ", "source", '"/services/nobody"')
attribute("the source of another", "source: /services/audit does not write", "source", '"/services/audit"')
attribute("a partner that is none", "source: ", "source", '"/partners/nobody"')
attribute("a source that is a list", "source: ", "source", '["/services/intake"]')
attribute("no type", "type", "type", None)
attribute("a type that nobody knows", "type: ", "type", '"casegrid.Rumour.v1"')
attribute("a version to come", "type: ", "type", '"casegrid.ReportFiled.v99"')
attribute("no subject", "subject: is required", "subject", None)
attribute("a subject that is no case", "subject: ", "subject", '"../../etc/passwd"')
attribute("a partition key of another case", "partitionkey", "partitionkey", '"019e0a4a-ae58-7000-8000-000000000001"')
attribute("a sequence of two digits", "sequence: ", "sequence", '"01"')
attribute("a sequence that is a number", "sequence: ", "sequence", "1")
attribute("a negative sequence", "sequence: ", "sequence", '"-000000001"')
attribute("a correlation with another case", "correlationid", "correlationid", '"019e0a4a-ae58-7000-8000-000000000001"')
attribute("a time that is a number", "time: ", "time", "1778328000")
attribute("the year 1", "time: ", "time", '"0001-01-01T00:00:00Z"')
attribute("the year 9999", "time: ", "time", '"9999-12-31T23:59:59Z"')
attribute("no zone", "time: ", "time", '"2026-05-09T12:00:00"')
attribute("no seconds", "time: ", "time", '"2026-05-09T12:00Z"')
attribute("nanoseconds", "time: ", "time", '"2026-05-09T12:00:00.123456789Z"')
attribute("a leap second", "time: ", "time", '"2026-06-30T23:59:60Z"')
attribute("30 February", "time: ", "time", '"2026-02-30T12:00:00Z"')
attribute("a recorded time of the year 9999", "time: ", "recordedtime", '"9999-12-31T23:59:59Z"')
attribute("no data", "data: is required", "data", None)
attribute("data that is null", "data: ", "data", "null")
attribute("data that is a list", "data: ", "data", "[]")
attribute("data that is a text", "data: ", "data", '"{}"')
attribute(
    "data of another kind",
    "data",
    "data",
    '{"kind": "rumour", "ruling": "rumour", "step": "rumour", "outcome": "rumour"}',
)
attribute("an empty trace", "traceparent: ", "traceparent", '""')


@kind("data in base64", "data")
def _in_base64(topic: str) -> bytes:
    tree = sound(topic)
    tree["data_base64"] = base64.b64encode(orjson.dumps(tree.pop("data"))).decode()
    return laid(orjson.dumps(tree), tree["subject"].encode())


# ---- the record around the event


@kind("no key", "key: ")
def _no_key(topic: str) -> bytes:
    return laid(orjson.dumps(sound(topic)), None)


@kind("the key of another case", "key: ")
def _another_key(topic: str) -> bytes:
    return laid(orjson.dumps(sound(topic)), b"019e0a4a-ae58-7000-8000-000000000001")


@kind("a key that is no text", "key: ")
def _key_of_bytes(topic: str) -> bytes:
    return laid(orjson.dumps(sound(topic)), b"\xff\0\xfe")


@kind("a key of 100,000 bytes", "key: ")
def _long_key(topic: str) -> bytes:
    return laid(orjson.dumps(sound(topic)), b"k" * 100_000)


def headers(name: str, reason: str, *given: Header) -> None:
    """A kind with other headers."""

    @kind(name, reason)
    def make(topic: str) -> bytes:
        tree = sound(topic)
        return laid(orjson.dumps(tree), tree["subject"].encode(), given)


headers("no headers", "content-type is missing")
headers("a content type without value", "content-type", (b"content-type", None))
headers("plain JSON", "content-type", (b"content-type", b"application/json"))
headers("Avro", "content-type", (b"content-type", b"avro/binary"))
headers(
    "binary mode",
    "binary mode|content-type",
    (b"content-type", b"application/json"),
    (b"ce_id", b"1"),
    (b"ce_source", b"/x"),
)
headers("a header name that is not UTF-8", "UTF-8|utf-8", CONTENT, (b"na\xffme", b""))
headers("10,000 headers and the wrong type", "content-type", *((b"h%d" % n, b"") for n in range(10_000)))

# ---- the batch around the record


def packed(name: str, reason: str, codec: int, pack: Callable[[bytes], bytes]) -> None:
    """A kind whose batch is compressed, or is said to be."""
    BATCHES.add(name)

    @kind(name, reason)
    def make(topic: str) -> bytes:
        tree = sound(topic)
        inside = record(0, orjson.dumps(tree), key=tree["subject"].encode(), headers=[CONTENT])
        return batch([inside], codec=codec, packed=pack(inside))


_ZEROS = 96 * 1024 * 1024
packed("junk called gzip", "", 1, lambda _: b"junk")
packed("junk called snappy", "", 2, lambda _: b"junk")
packed("junk called lz4", "", 3, lambda _: b"junk")
packed("junk called zstd", "", 4, lambda _: b"junk")
packed("half of a gzip stream", "", 1, lambda inside: gzip.compress(inside)[:-10])
packed("96 MiB in zstd", "inflates", 4, lambda _: bytes(cramjam.zstd.compress(record(0, bytes(_ZEROS)))))
packed("96 MiB in gzip", "inflates", 1, lambda _: gzip.compress(record(0, bytes(_ZEROS))))
packed("2 MiB in one record", "bytes", 4, lambda _: bytes(cramjam.zstd.compress(record(0, bytes(2 * 1024 * 1024)))))


BATCHES |= {"a record longer than its batch", "a record of no length", "half of a record"}


@kind("a record longer than its batch", "")
def _long_record(_: str) -> bytes:
    return batch([b"\xff\xff\x7f" + b"x" * 20])


@kind("a record of no length", "")
def _no_length(_: str) -> bytes:
    return batch([b"\0" * 20])


@kind("half of a record", "")
def _half(_: str) -> bytes:
    return batch([record(0, b"x" * 100)[:50]])

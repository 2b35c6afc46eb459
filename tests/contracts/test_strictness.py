"""One answer everywhere: the parser takes a record exactly where it is I-JSON, keeps to the published schema, and comes
from who may say it; and whatever the bytes are, it raises nothing but `Invalid`."""

import itertools
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.status import SERVICES
from contracts.wire import Invalid, parse
from tests.contracts.mutations import (
    EXAMPLES,
    INSIDE,
    TIMES,
    UNKNOWN,
    Path,
    changed,
    doubled,
    found_at,
    paths,
    places,
    whole,
)
from tests.contracts.oracle import Wrong, faults, i_json
from tests.contracts.strategies import UNHURRIED

FIRSTS = list({one.type: title for title, one in reversed(EXAMPLES.items())}.values())
"""Of each type the first example."""


def answer(topic: str, raw: bytes) -> str | None:
    """Why the parser refuses it; None where it takes it. Whatever else it raises ends the test."""
    try:
        parse(topic, raw)
    except Invalid as refusal:
        return str(refusal) or "without a word"
    return None


def agreed(topic: str, raw: bytes) -> bool:
    """Whether the record is taken, by both; the test fails where they differ."""
    refusal, wrong = answer(topic, raw), faults(topic, raw)
    assert (refusal is None) == (wrong is None), f"parser: {refusal}; schema: {wrong}: {raw[:3000]!r}"
    return refusal is None


@pytest.mark.parametrize(
    ("title", "path", "is_instant"),
    places(),
    ids=[f"{title}:{'.'.join(map(str, path))}" for title, path, _ in places()],
)
def test_parser_and_schema_agree_on_whatever_stands_in_a_field(title: str, path: Path, is_instant: bool) -> None:
    topic, tree = EXAMPLES[title].topic, whole(title)
    assert agreed(topic, orjson.dumps(tree))
    for put in INSIDE + (TIMES if is_instant else TIMES[:1]):
        agreed(topic, changed(tree, path, put=put))
    if isinstance(path[-1], str):
        agreed(topic, changed(tree, path, put=None))
        assert not agreed(topic, doubled(tree, path))
    value = found_at(tree, path)
    if isinstance(value, str):
        for other in (f"{value}\n", f"{value} ", value.upper(), value[:-1], f"\ufeff{value}"):
            agreed(topic, changed(tree, path, put=json.dumps(other)))


@pytest.mark.parametrize("title", FIRSTS)
def test_parser_and_schema_agree_on_fields_that_nobody_knows(title: str) -> None:
    example = EXAMPLES[title]
    tree = orjson.loads(example.raw)
    objects = [(), *(path for path in paths(tree) if isinstance(found_at(tree, path), dict))]
    taken = [
        agreed(example.topic, changed(_with(tree, path), (*path, "added_later"), put=put))
        for path, put in itertools.product(objects, UNKNOWN)
    ]
    assert sum(taken) == len(objects) * 3


def _with(tree: Any, path: Path) -> Any:
    tree = orjson.loads(orjson.dumps(tree))
    found_at(tree, path)["added_later"] = None
    return tree


RAW = EXAMPLES["Resolved.fixed"].raw
TEXT = RAW.decode()
PRETTY = orjson.dumps(orjson.loads(RAW), option=orjson.OPT_INDENT_2)
RECORDS: list[tuple[str, bytes, bool]] = [
    ("as it is", RAW, True),
    ("spread over lines", PRETTY, True),
    ("in another order", orjson.dumps(orjson.loads(RAW), option=orjson.OPT_SORT_KEYS), True),
    ("within white space", b" \t\r\n" + RAW + b"\n ", True),
    ("with names escaped", RAW.replace(b'"data"', b'"\\u0064ata"'), True),
    ("with a name twice, once escaped", RAW.replace(b'"data"', b'"\\u0064ata":{},"data"'), False),
    ("in ASCII", json.dumps(orjson.loads(RAW)).encode(), True),
    ("after a byte order mark", b"\xef\xbb\xbf" + RAW, False),
    *((f"in {name}", TEXT.encode(name), False) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
    ("in Latin-1", TEXT.replace("水", "é").encode("latin-1", "replace"), False),
    ("with half a pair in UTF-8", RAW.replace(b'"actor":"', b'"actor":"\xed\xa0\x80'), False),
    ("with an overlong letter", RAW.replace(b'"actor":"', b'"actor":"\xc0\xaf'), False),
    ("with a control character in a text", RAW.replace(b'"actor":"', b'"actor":"\x01'), False),
    ("cut off", RAW[:-1], False),
    ("twice", RAW + RAW, False),
    ("with something behind it", RAW + b"x", False),
    ("with a comma too many", RAW[:-1] + b",}", False),
    ("with a comment", RAW[:-1] + b"/* */}", False),
    ("in a list", b"[" + RAW + b"]", False),
    ("as a text", json.dumps(TEXT).encode(), False),
    *((f"just {raw.decode()}", raw, False) for raw in (b"null", b"1", b"[]", b"{}", b'"x"', b"true", b"NaN", b"{")),
    ("nothing", b"", False),
    ("zeros", bytes(20), False),
    ("too large", RAW + b" " * (262_145 - len(RAW)), False),
    ("just not too large", RAW + b" " * (262_144 - len(RAW)), True),
]


@pytest.mark.parametrize(("raw", "taken"), [row[1:] for row in RECORDS], ids=[row[0] for row in RECORDS])
def test_parser_and_schema_agree_on_how_a_record_is_written(raw: bytes, taken: bool) -> None:
    assert agreed("Resolved", raw) is taken


@pytest.mark.parametrize("depth", [1, 98, 99, 100, 199, 201, 253, 255, 1_000, 1_025, 40_000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"x":', "}")])
def test_a_record_that_is_nested_too_deeply_is_invalid(depth: int, opens: str, closes: str) -> None:
    deep = opens * depth + "1" + closes * depth
    taken = agreed("Resolved", RAW[:-1] + f',"added_later":{deep}}}'.encode())
    assert taken is (depth <= 99)


def test_a_record_of_many_names_one_of_them_twice_is_refused_soon() -> None:
    names = ",".join(f'"{number:x}":0' for number in range(20_000))
    raw = RAW[:-1] + f',{names},"4e1f":0}}'.encode()
    assert answer("Resolved", raw) == "4e1f: is there twice"


TOPICS = ["ReportFiled", "Assigned", "Resolved", "Evaluated", "Progressed", "from.fire", "from.hotline", "to.fire"]


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_taken_on_its_own_topic_only(title: str) -> None:
    example = EXAMPLES[title]
    for topic in {*TOPICS, example.topic}:
        assert agreed(topic, example.raw) is (topic == example.topic)


@pytest.mark.parametrize(
    "title", ["Resolved.fixed", "Progressed.refused", "Progressed.retried", "Request.note", "Notice.ruled"]
)
def test_another_source_is_forged(title: str) -> None:
    example = EXAMPLES[title]
    services = [f"/services/{name}" for name in SERVICES]
    for source in (*services, "/partners/fire", "/partners/hotline", "/partners/x"):
        raw = orjson.dumps({**orjson.loads(example.raw), "source": source})
        if not agreed(example.topic, raw):
            with pytest.raises(Invalid) as refusal:
                parse(example.topic, raw)
            assert refusal.value.kind == "forged"


@settings(UNHURRIED, max_examples=150)
@given(drawn=st.data())
def test_parser_and_schema_agree_on_records_with_several_faults(drawn: st.DataObject) -> None:
    title = drawn.draw(st.sampled_from(sorted(EXAMPLES)))
    tree = whole(title)
    for _ in range(drawn.draw(st.integers(1, 3))):
        path = drawn.draw(st.sampled_from(list(paths(tree))))
        if drawn.draw(st.booleans()) and isinstance(path[-1], str):
            raw = changed(tree, path, put=None)
        else:
            raw = changed(tree, path, put=drawn.draw(st.sampled_from(INSIDE + TIMES)))
        agreed(EXAMPLES[title].topic, raw)
        try:
            tree = i_json(raw)
        except Wrong:
            return
        if not isinstance(tree, dict) or not tree:
            return


@settings(UNHURRIED, max_examples=100)
@given(raw=st.binary(max_size=60), place=st.integers(0, len(RAW)), removed=st.integers(0, 60))
def test_parser_and_schema_agree_on_spoilt_bytes(raw: bytes, place: int, removed: int) -> None:
    agreed("Resolved", RAW[:place] + raw + RAW[place + removed :])
    agreed("Resolved", raw)

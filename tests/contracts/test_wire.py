"""What goes out comes back: build, parse and identity, and everything a reader must refuse or overlook."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chassis.records import Record, read
from contracts import wire
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE
from contracts.export.examples import scenario
from contracts.export.schemas import nodes
from contracts.fields import MAX_INTEGER, Attachment
from contracts.intake import NewReport
from contracts.wire import MAX_BYTES, TOPICS, Invalid, TooLarge, build, identity, parse
from tests.contracts import strategies
from tests.contracts.strategies import UNHURRIED

CASE = "019e0a4a-ae58-7000-8000-000000000001"
OTHER = "019e0a4a-ae58-7000-8000-000000000002"
NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
EXAMPLES = {example.file_name: example for example in scenario()}


def attributes(name: str = "Resolved.fixed.v1.json") -> dict[str, Any]:
    """A valid event as a partner writes it, to be spoilt."""
    return orjson.loads(EXAMPLES[name].raw)


def published(data: Any, **more: Any) -> tuple[Any, bytes]:
    given = {"event_id": OTHER, "source": "/partners/fire", "subject": CASE, "time": NOON, "recorded": NOON}
    return build(**{**given, "sequence": 1, "data": data, "actor": "person:1", **more})


def refusal(topic: str, spoilt: object) -> str:
    with pytest.raises(Invalid) as caught:
        parse(topic, spoilt if isinstance(spoilt, bytes) else orjson.dumps(spoilt))
    return str(caught.value)


@pytest.mark.parametrize("topic", TOPICS)
@settings(UNHURRIED, max_examples=50)
@given(values=st.data())
def test_every_fact_survives_the_wire(topic: str, values: st.DataObject) -> None:
    data = values.draw(strategies.facts(topic))
    source = values.draw(strategies.partners() | st.just(wire.HOMES.get(topic, "/services/audit")))
    event, raw = build(source=source, data=data, **values.draw(strategies.circumstances()))
    assert parse(topic, raw) == event
    assert event.data == data
    assert identity(raw) == (event.source, event.id)


@pytest.mark.parametrize("name", EXAMPLES)
def test_unknown_fields_are_ignored_everywhere(name: str) -> None:
    example = EXAMPLES[name]
    extended = orjson.loads(example.raw)
    for node in list(nodes(extended)):
        node["added_later"] = {"by": ["a", "newer", "writer"]}
    assert parse(example.topic, orjson.dumps(extended)) == example.event


@pytest.mark.parametrize("name", EXAMPLES)
def test_identity_agrees_with_parse(name: str) -> None:
    event = parse(EXAMPLES[name].topic, EXAMPLES[name].raw)
    assert identity(EXAMPLES[name].raw) == (event.source, event.id)


def test_identity_knows_only_bytes_that_build_wrote() -> None:
    raw = EXAMPLES["Resolved.fixed.v1.json"].raw
    assert identity(orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2)) is None
    assert identity(orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)) is None
    assert identity(b"") is None


@pytest.mark.parametrize(("number", "accepted"), [(MAX_INTEGER, True), (MAX_INTEGER + 1, False), (-1, False)])
def test_integers_are_bounded_in_both_directions(number: int, accepted: bool) -> None:
    event = attributes()
    event["data"]["urged"] = number
    if accepted:
        assert parse("Resolved", orjson.dumps(event)).data.urged == number
    else:
        assert "data.urged" in refusal("Resolved", event)
        with pytest.raises(ValidationError):
            Resolved(assignment_id=f"{CASE}.1.1", unit="dept:fire", outcome="fixed", urged=number)


def test_an_event_of_just_the_limit_passes_and_one_byte_more_does_not() -> None:
    def report(more: int) -> NewReport:
        uris = ["\N{BLACK UNIVERSAL RECYCLING SYMBOL}" * 2_000] * 41
        for _ in range(9):
            size = min(1_999, more)
            uris.append("x" * (1 + size))
            more -= size
        return NewReport(channel="partner", title="x", attachments=tuple(Attachment(uri=uri) for uri in uris))

    _, raw = published(report(0))
    missing = MAX_BYTES - len(raw)
    event, raw = published(report(missing))
    assert len(raw) == MAX_BYTES
    assert parse("ReportFiled", raw) == event
    with pytest.raises(TooLarge, match="262145 bytes"):
        published(report(missing + 1))
    assert "262145 bytes" in refusal("ReportFiled", raw + b" ")


@pytest.mark.parametrize("words", ["2026-05-09T20:00:00+08:00", "2026-05-09T12:00:00", "yesterday"])
@pytest.mark.parametrize("field", ["time", "recordedtime"])
def test_a_time_that_is_not_in_utc_is_refused(field: str, words: str) -> None:
    assert field in refusal("Resolved", {**attributes(), field: words})


def test_a_time_in_the_data_that_is_not_in_utc_is_refused() -> None:
    event = attributes()
    event["data"]["arrived_at"] = "2026-05-09T20:00:00+08:00"
    assert "data.arrived_at" in refusal("Resolved", event)
    local = NOON.astimezone(timezone(timedelta(hours=8)))
    with pytest.raises(ValidationError, match="arrived_at"):
        Resolved(assignment_id=f"{CASE}.1.1", unit="dept:fire", outcome="fixed", arrived_at=local)


@pytest.mark.parametrize("field", ["subject", "partitionkey", "correlationid"])
def test_the_case_must_be_the_same_throughout(field: str) -> None:
    assert "must be the same case id" in refusal("Resolved", {**attributes(), field: OTHER})


@pytest.mark.parametrize("key", [None, b"", OTHER.encode(), CASE.upper().encode()])
def test_a_record_whose_key_is_not_its_case_is_refused(key: bytes | None) -> None:
    raw = EXAMPLES["Resolved.fixed.v1.json"].raw
    headers = (("content-type", CONTENT_TYPE),)
    assert read(Record("Resolved", 0, 0, CASE.encode(), raw, headers)).subject == CASE
    with pytest.raises(Invalid, match="key"):
        read(Record("Resolved", 0, 0, key, raw, headers))


def test_something_must_have_begun_an_event() -> None:
    event = attributes()
    del event["causationid"]
    assert "causationid or actor" in refusal("Resolved", event)


@pytest.mark.parametrize(
    "kind",
    ["casegrid.Resolved.v2", "casegrid.Assigned.v1", "casegrid.Resolved", "com.example.resolved", "", None, 1, {}],
)
def test_an_unknown_type_is_refused_by_name(kind: object) -> None:
    assert "type" in refusal("Resolved", {**attributes(), "type": kind})


def test_a_service_publishes_on_its_own_topic_only() -> None:
    told = refusal("Resolved", {**attributes(), "source": "/services/triage"})
    assert told == "source: /services/triage does not publish on Resolved, /services/dispatch does"


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b"{}", b"[" * 2000, b'{"data":"\\ud800"}']
)
def test_what_is_no_event_is_refused(raw: bytes) -> None:
    assert refusal("Resolved", raw)


def test_a_refusal_names_the_first_five_fields_in_one_line() -> None:
    told = refusal("Resolved", {"data": {}})
    assert told.endswith("and 8 more")
    assert "\n" not in told


def test_a_superseded_version_is_read_through_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    def name_the_unit(data: dict[str, Any]) -> dict[str, Any]:
        return {"unit": data["team"], **{name: value for name, value in data.items() if name != "team"}}

    def name_the_outcome(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "outcome": "fixed" if data["done"] else "returned"}

    upcasters = {"casegrid.Resolved.v1": name_the_unit, "casegrid.Resolved.v2": name_the_outcome}
    monkeypatch.setattr(wire, "VERSION", 3)
    monkeypatch.setattr(wire, "UPCASTERS", upcasters)
    old = attributes()
    old["data"] = {"assignment_id": old["data"]["assignment_id"], "team": "dept:fire", "done": True}
    event = parse("Resolved", orjson.dumps(old))
    assert event.type == "casegrid.Resolved.v3"
    assert event.id == old["id"]
    assert event.data == Resolved(assignment_id=old["data"]["assignment_id"], unit="dept:fire", outcome="fixed")
    old["data"]["assignment_id"] = "?"
    assert "data.assignment_id" in refusal("Resolved", old)


@settings(UNHURRIED, max_examples=200)
@given(values=st.data())
def test_no_record_does_worse_than_being_invalid(values: st.DataObject) -> None:
    example = values.draw(st.sampled_from(list(EXAMPLES.values())))
    tree = orjson.loads(example.raw)
    node = values.draw(st.sampled_from(list(nodes(tree))))
    name = values.draw(st.sampled_from(sorted(node)))
    if values.draw(st.booleans()):
        del node[name]
    else:
        node[name] = values.draw(strategies.json_values())
    try:
        raw = orjson.dumps(tree)
    except TypeError:  # an integer beyond 64 bits
        return
    for topic in TOPICS:
        try:
            event = parse(topic, raw)
        except Invalid:
            continue
        assert event.type == wire.type_of(topic)

"""What goes out comes back: build, parse, reread and identity, and everything a reader must refuse or overlook."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chassis.kafka.records import Record, read
from contracts import superseded, wire
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE
from contracts.export.examples import scenario
from contracts.export.schemas import nodes
from contracts.fields import MAX_INTEGER, Attachment
from contracts.intake import REPORT_BYTES, NewReport, Rating, Supplement
from contracts.request import Arrive
from contracts.wire import MAX_BYTES, TOPICS, TYPES, Circumstances, Invalid, TooLarge, build, identity, parse, reread
from tests.contracts import strategies
from tests.contracts.oracle import VALIDATORS
from tests.contracts.strategies import UNHURRIED
from tests.support.facts import home_of

CASE = "019e0a4a-ae58-7000-8000-000000000001"
OTHER = "019e0a4a-ae58-7000-8000-000000000002"
NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
EXAMPLES = {example.file_name: example for example in scenario()}
FIXED = EXAMPLES["Resolved.fixed.v1.json"]
END: dict[str, Any] = {"assignment_id": f"{CASE}.1.1", "unit": "dept:fire", "resolve_by": NOON, "late_by_seconds": 0}


def attributes(name: str = "Resolved.fixed.v1.json") -> dict[str, Any]:
    """A valid event, to be spoilt."""
    return orjson.loads(EXAMPLES[name].raw)


def published(data: Any, **more: Any) -> tuple[Any, bytes]:
    given = {"event_id": OTHER, "source": home_of(data), "subject": CASE, "time": NOON, "recorded": NOON}
    return build(data, Circumstances(**{**given, "sequence": 1, "actor": "person:1", **more}))


def refusal(topic: str, spoilt: object) -> str:
    with pytest.raises(Invalid) as caught:
        parse(topic, spoilt if isinstance(spoilt, bytes) else orjson.dumps(spoilt))
    return str(caught.value)


@pytest.mark.parametrize("name", TYPES)
@settings(UNHURRIED, max_examples=40)
@given(values=st.data())
def test_every_event_survives_the_wire_and_keeps_to_its_schema(name: str, values: st.DataObject) -> None:
    topic, event, raw = values.draw(strategies.published(name))
    assert parse(topic, raw) == reread(topic, raw) == event
    assert identity(raw) == (event.source, event.id)
    VALIDATORS[name].validate(orjson.loads(raw))
    extended = orjson.loads(raw)
    for node in list(nodes(extended)):
        node["added_later"] = {"by": ["a", "newer", "writer"]}
    VALIDATORS[name].validate(extended)
    assert parse(topic, orjson.dumps(extended)) == event


@pytest.mark.parametrize("name", EXAMPLES)
def test_unknown_fields_are_ignored_everywhere(name: str) -> None:
    example = EXAMPLES[name]
    extended = orjson.loads(example.raw)
    for node in list(nodes(extended)):
        node["added_later"] = {"by": ["a", "newer", "writer"]}
    assert parse(example.topic, orjson.dumps(extended)) == example.event


@pytest.mark.parametrize("name", EXAMPLES)
def test_identity_agrees_with_parse(name: str) -> None:
    example = EXAMPLES[name]
    assert identity(example.raw) == (example.event.source, example.event.id)


def test_identity_knows_only_bytes_that_build_wrote() -> None:
    assert identity(orjson.dumps(orjson.loads(FIXED.raw), option=orjson.OPT_INDENT_2)) is None
    assert identity(orjson.dumps(orjson.loads(FIXED.raw), option=orjson.OPT_SORT_KEYS)) is None
    assert identity(b"") is None


@pytest.mark.parametrize(("number", "accepted"), [(MAX_INTEGER, True), (MAX_INTEGER + 1, False), (-1, False)])
def test_integers_are_bounded_in_both_directions(number: int, accepted: bool) -> None:
    event = attributes()
    event["data"]["urged"] = number
    if accepted:
        assert parse("Resolved", orjson.dumps(event)).data.urged == number
    else:
        assert refusal("Resolved", event)
        with pytest.raises(ValidationError):
            Resolved(**END, outcome="fixed", urged=number)


HANDS: dict[str, Any] = {"handled_by": tuple(f"{number:02}" + "\x01" * 190 for number in range(48))}


def _filled(size: int) -> tuple[Attachment, ...]:
    """Forty-nine attachments, and `size` bytes more."""
    uris = [2_000] * 41
    for _ in range(8):
        more = min(1_900, size)
        uris.append(100 + more)
        size -= more
    return tuple(Attachment(uri="https://photos.example/".ljust(length, "x")) for length in uris)


@pytest.mark.parametrize(
    ("most", "of"),
    [
        (MAX_BYTES, lambda filled: Resolved(**END, outcome="fixed", note="\x01" * 20_000, **HANDS, evidence=filled)),
        (REPORT_BYTES, lambda filled: Supplement(text="水" * 13_000, attachments=filled)),
        (REPORT_BYTES, lambda filled: NewReport(channel="sensor", title="x", text="水" * 13_000, attachments=filled)),
    ],
    ids=["end", "supplement", "report"],
)
def test_an_event_of_just_the_limit_passes_and_one_byte_more_does_not(most: int, of: Any) -> None:
    _, raw = published(of(_filled(0)))
    missing = most - len(raw)
    event, raw = published(of(_filled(missing)))
    assert len(raw) == most
    assert parse(event.topic, raw) == event
    with pytest.raises(TooLarge, match=f"{most + 1} bytes"):
        published(of(_filled(missing + 1)))


def test_a_record_that_is_one_byte_too_long_is_refused() -> None:
    padding = b" " * (MAX_BYTES - len(FIXED.raw))
    assert parse("Resolved", FIXED.raw + padding) == FIXED.event
    assert "262145 bytes" in refusal("Resolved", FIXED.raw + padding + b" ")


@pytest.mark.parametrize("words", ["2026-05-09T20:00:00+08:00", "2026-05-09T12:00:00", "yesterday"])
@pytest.mark.parametrize("field", ["time", "recordedtime"])
def test_a_time_of_a_fact_that_is_not_in_utc_is_refused(field: str, words: str) -> None:
    assert field in refusal("Resolved", {**attributes(), field: words})


def test_a_time_in_the_data_that_is_not_in_utc_is_refused_on_the_wire_and_kept_in_utc_in_python() -> None:
    event = attributes()
    event["data"]["arrived_at"] = "2026-05-09T20:00:00+08:00"
    assert "data.arrived_at" in refusal("Resolved", event)
    local = NOON.astimezone(timezone(timedelta(hours=8)))
    arrived = Resolved(**END, outcome="fixed", arrived_at=local).arrived_at
    assert arrived == NOON
    assert arrived is not None
    assert arrived.tzinfo is UTC


def test_a_partner_writes_times_with_any_offset() -> None:
    asked = attributes("Request.note.v1.json")
    here = parse("from.fire", orjson.dumps({**asked, "time": "2026-05-09T20:00:00+08:00"}))
    there = parse("from.fire", orjson.dumps({**asked, "time": "2026-05-09T12:00:00Z"}))
    assert here == there
    assert here.time == NOON


@pytest.mark.parametrize("field", ["subject", "partitionkey", "correlationid"])
def test_the_case_must_be_the_same_throughout(field: str) -> None:
    assert "must be the same case id" in refusal("Resolved", {**attributes(), field: OTHER})


@pytest.mark.parametrize("key", [None, b"", OTHER.encode(), CASE.upper().encode()])
def test_a_record_whose_key_is_not_its_case_is_refused(key: bytes | None) -> None:
    headers = (("content-type", CONTENT_TYPE),)
    assert read(Record("Resolved", 0, 0, FIXED.event.subject.encode(), FIXED.raw, headers)) == FIXED.event
    with pytest.raises(Invalid, match="key"):
        read(Record("Resolved", 0, 0, key, FIXED.raw, headers))


def test_something_must_have_begun_an_event() -> None:
    event = attributes()
    del event["causationid"]
    assert parse("Resolved", orjson.dumps(event)).causationid is None
    del event["actor"]
    assert "causationid or actor" in refusal("Resolved", event)


@pytest.mark.parametrize(
    "kind",
    ["casegrid.Resolved.v2", "casegrid.Assigned.v1", "casegrid.Resolved", "com.example.resolved", "", None, 1, {}],
)
def test_an_unknown_type_is_refused_by_name(kind: object) -> None:
    assert "type" in refusal("Resolved", {**attributes(), "type": kind})


def test_a_service_publishes_on_its_own_topic_only() -> None:
    told = refusal("Resolved", {**attributes(), "source": "/services/triage"})
    assert told == "source: /services/triage does not write Resolved"


def test_a_service_says_its_own_steps_only() -> None:
    told = refusal("Progressed", {**attributes("Progressed.urged.v1.json"), "source": "/services/triage"})
    assert told == "source: /services/triage does not say urged"


def test_a_notice_is_for_the_partner_whose_topic_it_is_on() -> None:
    told = refusal("to.hotline", attributes("Notice.urged.v1.json"))
    assert told == "data.to: fire does not read to.hotline"


def test_a_topic_that_is_nobodys_is_no_topic() -> None:
    for topic in ("Request", "Notice", "resolved", "", "from", "dead-letters"):
        with pytest.raises(KeyError):
            wire.name_on(topic)


def test_a_refusal_names_the_first_five_fields_in_one_line() -> None:
    told = refusal("Resolved", {"data": {}})
    assert told.endswith("and 10 more")
    assert "\n" not in told


def test_a_superseded_version_is_read_through_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    def name_the_unit(data: dict[str, Any]) -> dict[str, Any]:
        return {"unit": data["team"], **{name: value for name, value in data.items() if name != "team"}}

    def name_the_outcome(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "outcome": "fixed" if data["done"] else "returned"}

    upcasters = {"casegrid.Resolved.v1": name_the_unit, "casegrid.Resolved.v2": name_the_outcome}
    monkeypatch.setattr(wire, "VERSION", 3)
    monkeypatch.setattr(superseded, "UPCASTERS", upcasters)
    old = attributes()
    old["data"] = {**orjson.loads(orjson.dumps(END)), "resolve_by": "2026-05-09T12:00:00Z", "done": True}
    old["data"]["team"] = old["data"].pop("unit")
    raw = orjson.dumps(old)
    event = parse("Resolved", raw)
    assert event == reread("Resolved", raw)
    assert event.type == "casegrid.Resolved.v3"
    assert event.id == old["id"]
    assert event.data == Resolved(**END, outcome="fixed")
    old["data"]["assignment_id"] = "?"
    assert "data.assignment_id" in refusal("Resolved", old)


RATED = {"time_doubtful": False, "step": "rated", "rating": 4, "comment": "water is back"}


def rated(**more: Any) -> dict[str, Any]:
    """As feedback published a rating before intake did."""
    found = {**attributes("Progressed.verified.v1.json"), "causationid": CASE, "data": {**RATED, **more}}
    return {**found, "source": "/services/feedback"}


@pytest.mark.parametrize(("comment", "kept"), [("water is back", "water is back"), (" ", None), (None, None)])
def test_a_rating_that_feedback_published_is_read_as_one_of_intakes(comment: str | None, kept: str | None) -> None:
    raw = orjson.dumps(rated(comment=comment))
    event = parse("Progressed", raw)
    assert event == reread("Progressed", raw)
    assert event.data == Rating(verdict_id=CASE, rating=4, comment=kept)
    assert (event.source, event.type) == ("/services/feedback", "casegrid.ReportFiled.v1")


def test_nobody_else_says_that_a_case_was_rated() -> None:
    told = refusal("Progressed", {**rated(), "source": "/services/triage"})
    assert told.startswith("data.step: must be one of")
    assert "data" in refusal("Progressed", rated(rating=None))
    assert "data" in refusal("Progressed", {**rated(), "causationid": None})


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", orjson.dumps(rated(rating=6)), orjson.dumps(rated(step="gone"))])
def test_a_stored_record_that_cannot_be_read_is_named(raw: bytes) -> None:
    with pytest.raises(wire.Unreadable, match="a stored record on Progressed cannot be read") as told:
        reread("Progressed", raw)
    assert (rated()["id"] in str(told.value)) == (len(raw) > 2)


@pytest.mark.parametrize("topic", [*TOPICS, "from.fire", "to.fire"])
def test_each_topic_holds_one_type(topic: str) -> None:
    for example in EXAMPLES.values():
        if example.type != wire.name_on(topic):
            assert refusal(topic, example.raw)


def test_a_request_needs_no_number() -> None:
    data = Arrive(assignment_id=f"{CASE}.1.1")
    event, raw = published(data, source="/partners/fire", sequence=None)
    assert b"sequence" not in raw
    assert parse("from.fire", raw) == event


def test_a_refusal_names_the_field_as_the_record_has_it_and_the_rule_in_plain_words() -> None:
    """No names of models or members of unions, and no words of the library that looked."""
    example = next(one for one in scenario() if one.topic.startswith("from.") and b'"kind":"report"' in one.raw)
    whole = orjson.loads(example.raw)

    def refusal(**data: Any) -> str:
        changed = {**whole, "data": {**whole["data"], **data}}
        with pytest.raises(Invalid) as caught:
            parse(example.topic, orjson.dumps(changed))
        return str(caught.value)

    assert refusal(place={"address": 7}) == "data.place.address: must be a text"
    assert refusal(place=7) == "data.place: must be an object"
    assert refusal(title="") == "data.title: must have 1 characters at least"
    assert refusal(kind="dance").startswith(
        "data.kind: must be one of report, supplement, withdrawal, rating, reopening, ack"
    )
    del whole["data"]["title"]
    assert refusal() == "data.title: is required"
    whole["data"]["title"] = "x"
    whole["subject"] = "X"
    assert refusal() == "subject: must be a UUID in lower case"


def test_a_key_that_is_not_the_subject_is_quoted_as_text() -> None:
    record = Record(FIXED.topic, 0, 0, b"other\xff", FIXED.raw, (("content-type", CONTENT_TYPE),), 0)
    with pytest.raises(Invalid, match=r"^key: other\\xff is not the subject"):
        read(record)

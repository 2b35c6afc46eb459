"""Each of the five services takes exactly the records that the published schema allows, by one parser and no other rule
than those that contracts/README.md names besides."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.engine.incoming import Reader
from chassis.engine.model import Model
from chassis.kafka.records import Record
from chassis.service import Service
from contracts.fields import FROM
from contracts.homes import EVERY_FROM, EVERY_TO
from contracts.wire import parse
from tests.contracts.mutations import EXAMPLES, INSIDE, TIMES, changed, paths, whole
from tests.contracts.oracle import faults
from tests.services.taking import taking
from tests.support.facts import record_of

CONVERTED = {
    "ReportFiled.new": (("time",), "1778328000"),
    "Assigned.dispatched": (("data", "place", "point", "lat"), '"30.65"'),
    "Resolved.fixed": (("data", "supervised"), '"yes"'),
    "Evaluated.closed": (("data", "reworks"), '"0"'),
    "Progressed.extended": (("data", "count"), "1.5"),
    "Request.rating": (("data", "rating"), '"5"'),
    "Notice.assigned": (("recordedtime",), "1778328000.5"),
}
"""What a lenient parser would convert."""


def record(title: str, raw: bytes) -> Record:
    """A mutated example under the key that its subject asks for, if it has one."""
    example = EXAMPLES[title]
    try:
        subject: Any = orjson.loads(raw)["subject"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        subject = None
    return record_of(raw, subject if isinstance(subject, str) else example.event.subject, example.topic)


def on(model: Any, topic: str) -> bool:
    pattern = EVERY_FROM if topic.startswith(FROM) else EVERY_TO if topic.startswith("to.") else topic
    return pattern in model.topics


def judged(model: Model, one: Record) -> None:
    """The test fails where the service takes what the schema forbids, or refuses what it allows."""
    raw = one.value or b""
    wrong, found = faults(one.topic, raw), Reader(model).read(one)
    parks = (EVERY_FROM if one.topic.startswith(FROM) else one.topic) in model.parks
    refused, taken = found is not None and found.event is None, found is not None and found.event is not None
    assert not (taken and wrong), f"{model.name} takes what the schema forbids: {wrong}: {raw[:2000]!r}"
    assert refused == (parks and wrong is not None), f"{model.name}, {wrong}: {raw[:2000]!r}"
    if wrong is None and not one.topic.startswith(FROM):
        event = parse(one.topic, raw)
        wanted = model.sources.get(one.topic, event.source) == event.source and model.wants(event)
        assert taken == wanted, f"{model.name}: {raw[:2000]!r}"


@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(drawn=st.data())
def test_a_service_takes_what_the_schema_allows_and_nothing_else(service: Service, drawn: st.DataObject) -> None:
    if not isinstance(service.model, Model):
        return
    title = drawn.draw(st.sampled_from([title for title, one in EXAMPLES.items() if on(service.model, one.topic)]))
    path = drawn.draw(st.sampled_from(list(paths(whole(title)))))
    for put in (drawn.draw(st.sampled_from(INSIDE)), drawn.draw(st.sampled_from(TIMES)), None):
        if put is not None or isinstance(path[-1], str):
            judged(service.model, record(title, changed(whole(title), path, put=put)))


@pytest.mark.parametrize("title", CONVERTED)
def test_nothing_is_converted_on_any_topic(service: Service, title: str) -> None:
    path, put = CONVERTED[title]
    raw = changed(whole(title), path, put=put)
    assert faults(EXAMPLES[title].topic, raw)
    if isinstance(service.model, Model) and on(service.model, EXAMPLES[title].topic):
        judged(service.model, record(title, raw))


async def test_audit_calls_invalid_what_the_schema_forbids(service: Service, url: str) -> None:
    if isinstance(service.model, Model):
        return
    puts = itertools.cycle([*INSIDE, *TIMES])
    firsts = list({one.type: title for title, one in reversed(EXAMPLES.items())}.values())
    records = [
        record(title, changed(whole(title), path, put=next(puts))) for title in firsts for path in paths(whole(title))
    ]
    records += [record(title, changed(whole(title), path, put=put)) for title, (path, put) in CONVERTED.items()]
    async with taking(service, url) as taker:
        await taker.take(*records)
        rows = await taker.store.fetch('SELECT topic, "offset", valid, reason FROM log')
    valid = {(row["topic"], row["offset"]): row["valid"] for row in rows}
    wrong = [
        (one.topic, one.value)
        for one in records
        if valid[one.topic, one.offset] != (faults(one.topic, one.value or b"") is None)
    ]
    assert wrong == []
    assert len(set(valid.values())) == 2

"""The examples are whole cases: complete, in order, each event with its cause, each request with its answer."""

import re
from collections import Counter, defaultdict
from typing import Any, get_args

import orjson
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

from contracts.causes import CAUSES, REQUEST_CAUSES, label
from contracts.dispatch import Outcome
from contracts.envelope import CONTENT_TYPE
from contracts.export.__main__ import ROOT
from contracts.export.examples import scenario
from contracts.export.schemas import schema
from contracts.export.story import Story
from contracts.feedback import Verdict
from contracts.fields import Claimed
from contracts.intake import NewReport, Supplement
from contracts.notice import AcceptanceNotice, RefusalNotice
from contracts.progress import Forged
from contracts.request import REPORTS, FileReport
from contracts.triage import Upheld
from contracts.wire import TYPES, parse
from tests.contracts.oracle import VALIDATORS, faults

STORY = scenario()
EXAMPLES = {example.file_name: example for example in STORY}
EVENTS = [example.event for example in STORY]
BY_ID = {event.id: event for event in EVENTS}
REQUESTS = [event for event in EVENTS if event.data.name == "Request"]
REPORTED = {event.subject for event in EVENTS if event.data.name == "ReportFiled"}
"""The cases; an answer that belongs to none has a subject of its own."""


def named(event: Any) -> str:
    return f"{label(event.data)} {event.id} of {event.subject}"


def is_first_report(event: Any) -> bool:
    """A case's first report by a person, or a partner's request that begins one."""
    return isinstance(event.data, FileReport) or (label(event.data) == "new" and event.data.reported_by is None)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name: str) -> None:
    example, raw = EXAMPLES[name], (ROOT / "contracts/examples" / name).read_bytes()
    assert parse(example.topic, raw) == parse(example.topic, example.raw) == example.event
    VALIDATORS[example.type].validate(orjson.loads(raw))
    assert faults(example.topic, raw) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_independent_sdk_reads_an_example(name: str) -> None:
    example, raw = EXAMPLES[name], (ROOT / "contracts/examples" / name).read_bytes()
    record = KafkaMessage({"content-type": CONTENT_TYPE}, example.event.subject.encode(), raw)
    read = from_structured(record, JSONFormat())
    written = orjson.loads(raw)
    assert read.get_data() == written.pop("data")
    attributes = dict(read.get_attributes())
    assert attributes.pop("time") == example.event.time
    written.pop("time")
    assert attributes == written
    assert read.get_extension("partitionkey") == read.get_subject() == example.event.subject
    assert (read.get_source(), read.get_id(), read.get_type()) == (
        example.event.source,
        example.event.id,
        f"casegrid.{example.type}.v1",
    )


def test_there_is_an_example_of_every_kind() -> None:
    there = {example.file_name.removesuffix(".v1.json") for example in STORY}
    kinds = {f"Resolved.{one}" for one in get_args(Outcome)} | {f"Evaluated.{one}" for one in get_args(Verdict)}
    for name in TYPES:
        made = schema(name)
        for variant in made["properties"]["data"].get("oneOf", ()):
            fields = made["$defs"][variant["$ref"].rpartition("/")[2]]["properties"]
            (tag,) = (field["const"] for field in fields.values() if "const" in field)
            kinds.add(f"{name}.{tag}")
    models = [get_args(get_args(union)[0]) for name, union in TYPES.items() if name not in ("Resolved", "Evaluated")]
    assert len(kinds) == len(get_args(Outcome)) + len(get_args(Verdict)) + sum(map(len, models))
    assert kinds <= there, "tell an event of each kind in contracts/export/examples.py or other_cases.py"


def test_an_example_is_called_what_it_says() -> None:
    for name, example in EXAMPLES.items():
        said = label(example.event.data).removeprefix("notice ")
        kind = example.event.data.kind if example.type == "Request" else said
        assert re.fullmatch(rf"{example.type}\.{kind}(-[a-z-]+(-[0-9]+)?)?\.v1\.json", name), name


def test_no_event_is_told_twice() -> None:
    assert len(BY_ID) == len(EVENTS) == len(EXAMPLES)


def test_one_more_event_leaves_the_records_of_other_cases_and_all_earlier_ones_as_they_are() -> None:
    def told(more: bool) -> dict[str, bytes]:
        story = Story()
        one, other = story.case("one", "09:00:00"), story.case("other", "09:10:00")
        report = NewReport(channel="sensor", title="water")
        for case, at in ((one, "09:00:00"), (other, "09:10:00")):
            filed = story.fact(at, "intake", case, report, actor="person:1")
            if more and case is one:
                story.fact("09:05:00", "intake", one, Supplement(text="x"), cause=filed, actor="person:1")
            story.fact("09:20:00", "triage", case, Upheld(reason="x"), cause=filed)
        return {example.event.id: example.raw for example in story.examples()}

    before, after = told(more=False), told(more=True)
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()


def test_every_source_numbers_its_events_of_a_case_without_a_gap() -> None:
    sequences = defaultdict(list)
    for event in EVENTS:
        sequences[event.source, event.subject].append(int(event.sequence))
    for numbers in sequences.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_source_records_a_case_in_the_order_of_its_numbers() -> None:
    recorded = defaultdict(list)
    for event in sorted(EVENTS, key=lambda event: event.sequence):
        recorded[event.source, event.subject].append(event.recordedtime)
    for times in recorded.values():
        assert times == sorted(times)


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_everything_but_a_first_report_has_a_cause_that_the_table_allows(event: Any) -> None:
    if is_first_report(event) or isinstance(event.data, Forged):
        assert event.causationid is None
        return
    cause = BY_ID[event.causationid]
    assert cause.recordedtime <= event.recordedtime
    assert EVENTS.index(cause) < EVENTS.index(event)
    if event.data.name == "Request":
        assert cause.data.name.lower() in REQUEST_CAUSES
    else:
        assert label(cause.data) in CAUSES[label(event.data)] or CAUSES[label(event.data)] == ("any",)


@pytest.mark.parametrize("event", [event for event in EVENTS if event.causationid], ids=named)
def test_a_cause_is_of_the_same_case_and_assignment_where_it_must_be(event: Any) -> None:
    cause = BY_ID[event.causationid]
    if event.subject != cause.subject:  # what another case means to this one, and the answer that belongs to none
        assert label(event.data) in ("joined", "supplemented", "notice closed", "notice refused") or (
            label(event.data) == "request" and event.id in refused()
        )
    mine, its = (getattr(one.data, "assignment_id", None) for one in (event, cause))
    if mine and its:
        assert mine == its
    if mine and label(cause.data) == "dispatched" and event.data.name != "Notice":
        assert mine in [given.id for given in cause.data.plan]


def refused() -> set[str]:
    """The requests that were refused."""
    return {event.data.request for event in EVENTS if label(event.data) == "notice refused"}


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
def test_a_request_has_one_answer_of_the_service_that_takes_it(request_: Any) -> None:
    partner = request_.source.removeprefix("/partners/")
    service = "/services/intake" if isinstance(request_.data, REPORTS) else "/services/dispatch"
    answers = [event for event in EVENTS if isinstance(event.data, AcceptanceNotice | RefusalNotice)]
    (answer,) = (event for event in answers if event.data.request == request_.id)
    assert (answer.source, answer.data.to) == (service, partner)
    if isinstance(answer.data, AcceptanceNotice):
        follows = BY_ID[answer.causationid]
        assert follows.causationid == request_.id
        assert follows.actor == f"{partner}:{request_.actor}"
        assert not isinstance(follows.data, Claimed) or follows.data.claimed_at == request_.time


@pytest.mark.parametrize("request_", [one for one in REQUESTS if one.id not in refused()], ids=named)
def test_a_request_answers_a_notice_to_that_partner_on_that_case(request_: Any) -> None:
    if isinstance(request_.data, FileReport):
        return
    notice = BY_ID[request_.causationid]
    service = "/services/intake" if isinstance(request_.data, REPORTS) else "/services/dispatch"
    assert (notice.source, notice.subject) == (service, request_.subject)
    assert notice.data.to == request_.source.removeprefix("/partners/")


def test_every_case_is_closed_once() -> None:
    for case in REPORTED:
        verdicts = Counter(e.data.verdict for e in EVENTS if e.subject == case and e.data.name == "Evaluated")
        assert verdicts["closed"] == 1


def test_nobody_checks_what_they_handled() -> None:
    for verdict in (event for event in EVENTS if event.data.name == "Evaluated"):
        ends = [e.data for e in EVENTS if e.subject == verdict.subject and e.data.name == "Resolved"]
        assert verdict.data.checked_by not in {person for end in ends for person in end.handled_by}


def test_every_assignment_ends_once() -> None:
    given_out = [part.id for event in EVENTS for part in getattr(event.data, "plan", ())]
    ended = [event.data.assignment_id for event in EVENTS if event.data.name == "Resolved"]
    assert sorted(given_out) == sorted(ended)


def test_a_partner_hears_of_nothing_that_is_not_its_own() -> None:
    for event in (event for event in EVENTS if event.data.name == "Notice"):
        partner = event.data.to
        reports = {e.subject for e in EVENTS if getattr(e.data, "reported_by", None) == partner}
        works = {
            part.id
            for e in EVENTS
            for part in getattr(e.data, "plan", ())
            if partner == "fire" and part.unit.startswith("dept:fire")
        }
        assignment = getattr(event.data, "assignment_id", None)
        apart = event.subject not in REPORTED
        assert apart or event.subject in reports or event.subject in {one.partition(".")[0] for one in works}
        assert assignment is None or assignment in works

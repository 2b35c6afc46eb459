"""The files partners read: schemas that agree with the models, an AsyncAPI document, and a story that is complete."""

import ast
import re
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from chassis.settings import Settings
from contracts.dispatch import Outcome
from contracts.export.__main__ import ROOT, drift, schema_path
from contracts.export.asyncapi import PARTITIONS, RECEIVES, SENDS
from contracts.export.examples import scenario
from contracts.export.schemas import RULES, nodes, schema
from contracts.feedback import Verdict
from contracts.fields import MAX_INTEGER
from contracts.wire import HOMES, TOPICS, Invalid, build, parse
from deploy.district.__main__ import main as district_files
from tests.contracts import strategies
from tests.contracts.strategies import UNHURRIED

EXAMPLES = {example.file_name: example for example in scenario()}
VALIDATORS = {topic: Draft202012Validator(schema(topic)) for topic in TOPICS}
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "contracts/asyncapi.yaml").read_text())
SERVICES = ("intake", "triage", "dispatch", "feedback", "audit")


def accepted(topic: str, tree: Any) -> bool:
    try:
        parse(topic, orjson.dumps(tree))
    except Invalid:
        return False
    return True


def test_the_committed_files_are_what_the_models_say() -> None:
    assert list(drift(ROOT)) == []


@pytest.mark.parametrize("topic", TOPICS)
def test_a_schema_is_one(topic: str) -> None:
    Draft202012Validator.check_schema(orjson.loads((ROOT / schema_path(topic)).read_bytes()))


@pytest.mark.parametrize("topic", TOPICS)
def test_every_integer_has_limits_that_json_readers_keep(topic: str) -> None:
    integers = [node for node in nodes(schema(topic)) if node.get("type") == "integer"]
    for node in integers:
        assert -MAX_INTEGER <= node["minimum"] <= node["maximum"] <= MAX_INTEGER


@pytest.mark.parametrize("topic", TOPICS)
def test_every_model_is_described(topic: str) -> None:
    made = schema(topic)
    assert [name for name, model in made["$defs"].items() if not model.get("description")] == []
    assert made["properties"]["sequence"]["description"].startswith("The event's number")


def test_descriptions_come_from_the_strings_below_the_fields() -> None:
    models = schema("Assigned")["$defs"]
    assert models["Assignment"]["properties"]["member"]["description"] == (
        "The member on duty, where the unit is a grid."
    )
    assert models["Dispatched"]["properties"]["priority"]["description"] == "1 is an emergency, 4 can wait."


@pytest.mark.parametrize("topic", TOPICS)
@settings(UNHURRIED, max_examples=25)
@given(values=st.data())
def test_whatever_is_published_keeps_to_the_schema(topic: str, values: st.DataObject) -> None:
    data = values.draw(strategies.facts(topic))
    source = HOMES.get(topic, "/services/audit")
    _, raw = build(source=source, data=data, **values.draw(strategies.circumstances()))
    VALIDATORS[topic].validate(orjson.loads(raw))


ODD = st.sampled_from([None, True, 0, -1, 1.5, 2**53, "", "x", "2026-05-09T12:00:00Z", "x" * 501, [], ["x"], {}])


@settings(UNHURRIED, max_examples=200)
@given(values=st.data())
def test_whatever_keeps_to_the_schema_is_accepted(values: st.DataObject) -> None:
    """But for the three attributes that must be equal, which JSON Schema can't say."""
    example = values.draw(st.sampled_from(list(EXAMPLES.values())))
    tree = orjson.loads(example.raw)
    for _ in range(values.draw(st.integers(1, 2))):
        node = values.draw(st.sampled_from([node for node in nodes(tree) if node]))
        name = values.draw(st.sampled_from(sorted(node)))
        if values.draw(st.booleans()):
            del node[name]
        else:
            node[name] = values.draw(ODD)
    if VALIDATORS[example.topic].is_valid(tree):
        assert accepted(example.topic, tree)


SPOILT: list[tuple[str, dict[str, Any]]] = [
    ("Resolved.returned.v1.json", {"reason": None}),
    ("Resolved.escalated.v1.json", {"reason": None}),
    ("Evaluated.closed.v1.json", {"outcome": None}),
    ("Evaluated.rework.v1.json", {"failed": []}),
    ("ReportFiled.new.v1.json", {"kind": None}),
    ("Assigned.dispatched.v1.json", {"plan": []}),
    ("Assigned.dispatched.v1.json", {"filed_at": "2026-05-09T09:00:00+08:00"}),
    ("Progressed.rated.v1.json", {"rating": 6}),
]


@pytest.mark.parametrize(("name", "spoilt"), SPOILT)
def test_schema_and_models_refuse_the_same(name: str, spoilt: dict[str, Any]) -> None:
    topic, tree = EXAMPLES[name].topic, orjson.loads(EXAMPLES[name].raw)
    for field, value in spoilt.items():
        for absent in (False, True) if value is None else (False,):
            broken = {**tree, "data": {**tree["data"], field: value}}
            if absent:
                del broken["data"][field]
            assert not VALIDATORS[topic].is_valid(broken)
            assert not accepted(topic, broken)


def test_schema_and_models_both_want_a_cause_or_an_actor() -> None:
    tree = orjson.loads(EXAMPLES["Resolved.fixed.v1.json"].raw)
    del tree["causationid"]
    assert not VALIDATORS["Resolved"].is_valid(tree)
    assert not accepted("Resolved", tree)


def test_no_model_has_a_rule_that_no_schema_tells() -> None:
    """A validator added to a model needs its entry in RULES, or a word here why JSON Schema can't say it."""
    validated = {
        node.name
        for path in (ROOT / "contracts").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any("validator" in ast.unparse(part) for item in node.body for part in getattr(item, "decorator_list", ()))
    }
    assert validated == set(RULES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name: str) -> None:
    raw = (ROOT / "contracts/examples" / name).read_bytes()
    assert parse(EXAMPLES[name].topic, raw) == EXAMPLES[name].event
    VALIDATORS[EXAMPLES[name].topic].validate(orjson.loads(raw))


def test_every_kind_of_fact_has_an_example_of_its_name() -> None:
    kinds = {
        *(f"ReportFiled.{kind}" for kind in ("new", "supplement", "withdrawal")),
        *(f"Assigned.{ruling}" for ruling in ("dispatched", "merged", "rejected", "withdrawn")),
        *(f"Resolved.{outcome}" for outcome in get_args(Outcome)),
        *(f"Evaluated.{verdict}" for verdict in get_args(Verdict)),
    }
    variants = sum(len(schema(topic)["properties"]["data"].get("oneOf", ())) for topic in TOPICS)
    assert variants + len(get_args(Outcome)) + len(get_args(Verdict)) == len(kinds)
    assert {f"{kind}.v1.json" for kind in kinds} <= set(EXAMPLES)
    for name, example in EXAMPLES.items():
        data = orjson.loads(example.raw)["data"]
        said = next(data[tag] for tag in ("kind", "ruling", "outcome", "verdict", "step") if tag in data)
        if example.topic == "Evaluated":
            said = data["verdict"]
        assert re.fullmatch(rf"{example.topic}\.{said}(-[a-z-]+)?\.v1\.json|.*-.*", name), name


def test_the_story_is_complete() -> None:
    events = [example.event for example in EXAMPLES.values()]
    assert len({(event.source, event.id) for event in events}) == len(events)
    sequences = defaultdict(list)
    for event in sorted(events, key=lambda event: event.recordedtime):
        sequences[event.source, event.subject].append(int(event.sequence))
    for numbers in sequences.values():
        assert numbers == list(range(1, len(numbers) + 1))
    recorded = {event.id: event.recordedtime for event in events}
    for event in events:
        if event.causationid:
            assert recorded[event.causationid] < event.recordedtime
    for case in {event.subject for event in events}:
        verdicts = [event.data.verdict for event in events if event.subject == case and event.data.topic == "Evaluated"]
        assert Counter(verdicts)["closed"] == 1


def test_nobody_in_the_story_checks_what_they_handled() -> None:
    events = [example.event for example in EXAMPLES.values()]
    for verdict in (event for event in events if event.data.topic == "Evaluated"):
        handlers = {
            person
            for event in events
            if event.subject == verdict.subject and event.data.topic == "Resolved"
            for person in event.data.handled_by
        }
        assert verdict.data.checked_by not in handlers


def test_every_assignment_of_the_story_ends() -> None:
    events = [example.event for example in EXAMPLES.values()]
    given_out = [part.id for event in events for part in getattr(event.data, "plan", ())]
    ended = [event.data.assignment_id for event in events if event.data.topic == "Resolved"]
    assert sorted(given_out) == sorted(ended)


def test_the_document_has_no_loose_ends() -> None:
    for node in nodes(DOCUMENT):
        if isinstance(node.get("$ref"), str):
            target: Any = DOCUMENT
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]


def test_the_document_has_the_five_topics_with_their_bindings() -> None:
    assert list(DOCUMENT["channels"]) == list(TOPICS)
    for topic, channel in DOCUMENT["channels"].items():
        assert channel["address"] == topic
        assert channel["bindings"]["kafka"]["partitions"] == PARTITIONS == 6
        message = DOCUMENT["components"]["messages"][topic]
        assert message["contentType"] == "application/cloudevents+json"
        assert set(message["bindings"]["kafka"]) == {"key", "bindingVersion"}
    headers = DOCUMENT["components"]["schemas"]["Headers"]
    assert headers["required"] == ["content-type"]
    assert set(headers["properties"]) == {"content-type", "traceparent"}


def test_the_document_tells_who_sends_and_receives() -> None:
    told = Counter((name.rpartition("s")[0], operation["action"]) for name, operation in DOCUMENT["operations"].items())
    assert sum(told.values()) == sum(map(len, SENDS.values())) + sum(map(len, RECEIVES.values()))
    for topic, home in HOMES.items():
        assert [who for who in SERVICES if topic in SENDS[who]] == [home.removeprefix("/services/")]
    assert set(RECEIVES["audit"]) == set(TOPICS)


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district")
    assert district_files(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_the_topics_the_document_says(service: str, district: Path) -> None:
    wiring = import_module(f"services.{service}.service")
    built = wiring.build(Settings.model_validate({"CASEGRID_DISTRICT": district}))
    assert set(built.topics) == set(RECEIVES[service])
    assert f"/services/{built.name}" in (*HOMES.values(), "/services/audit")

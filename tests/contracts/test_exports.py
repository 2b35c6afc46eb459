"""The files partners read: schemas that agree with the models, and an AsyncAPI document."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator

from chassis.engine.model import Model
from chassis.settings import Settings
from contracts.export.__main__ import ROOT, drift, schema_path
from contracts.export.asyncapi import PARTITIONS, PARTNERS
from contracts.export.examples import scenario
from contracts.export.schemas import RULES, nodes, schema
from contracts.fields import MAX_INTEGER
from contracts.homes import DECIDERS, RECEIVES, SENDS, service_source
from contracts.progress import PUBLISHERS
from contracts.status import SERVICES
from contracts.wire import TOPICS, TYPES, Invalid, name_on, parse, writes
from deploy.district.__main__ import main as district_files
from tests.contracts.oracle import VALIDATORS

EXAMPLES = {example.file_name: example for example in scenario()}
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "contracts/asyncapi.yaml").read_text())


def accepted(topic: str, tree: Any) -> bool:
    try:
        parse(topic, orjson.dumps(tree))
    except Invalid:
        return False
    return True


def test_the_committed_files_are_what_the_models_say() -> None:
    assert list(drift(ROOT)) == [], "`python -m contracts.export` writes these files anew"


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_is_one(name: str) -> None:
    path = ROOT / schema_path(name)
    assert path.exists(), "`python -m contracts.export` writes it"
    Draft202012Validator.check_schema(orjson.loads(path.read_bytes()))


@pytest.mark.parametrize("name", TYPES)
def test_every_integer_has_limits_that_json_readers_keep(name: str) -> None:
    integers = [node for node in nodes(schema(name)) if node.get("type") == "integer"]
    for node in integers:
        assert -MAX_INTEGER <= node["minimum"] <= node["maximum"] <= MAX_INTEGER


@pytest.mark.parametrize("name", TYPES)
def test_readers_may_meet_fields_they_do_not_know(name: str) -> None:
    assert [node for node in nodes(schema(name)) if "additionalProperties" in node] == []


@pytest.mark.parametrize("name", TYPES)
def test_every_model_is_described(name: str) -> None:
    made = schema(name)
    assert [title for title, model in made["$defs"].items() if not model.get("description")] == []
    assert made["properties"]["causationid"]["description"].startswith("The event that this one follows from")


WORDS_OF_TYPES = ("One line of text", "An identifier of", "A point in time", "A text that", "A UUID in lower case")


@pytest.mark.parametrize("name", TYPES)
def test_every_field_is_described_in_words_of_its_own(name: str) -> None:
    """Not by those of a type that many fields have: a string under the field in contracts/ says what it means there."""
    made = schema(name)
    for title, model in ({name: made} | made["$defs"]).items():
        for field, described in model.get("properties", {}).items():
            words = described.get("description")
            assert words, f"{title}.{field} needs a string under it"
            assert not words.startswith(WORDS_OF_TYPES), (
                f"{title}.{field} needs a string under it: its type's says little"
            )


def test_descriptions_come_from_the_strings_below_the_fields() -> None:
    models = schema("Assigned")["$defs"]
    assert models["Assignment"]["properties"]["member"]["description"] == (
        "The member on duty, where the unit is a grid."
    )
    assert models["Dispatched"]["properties"]["priority"]["description"] == "1 is an emergency, 4 can wait."
    notice = schema("Notice")["$defs"]["AssignmentNotice"]["properties"]
    assert notice["priority"]["description"] == "1 is an emergency, 4 can wait."
    assert notice["because"]["description"].startswith("Why there is a round. `first`: the case is filed;")
    assert notice["kind"]["description"] == "Tells this kind from the others."


def test_an_instant_s_pattern_is_written_once() -> None:
    for name in TYPES:
        made = schema(name)
        shared = [made["$defs"][title] for title in ("Instant", "ClaimedInstant") if title in made["$defs"]]
        assert shared
        assert [node for node in nodes(made) if node.get("format") == "date-time"] == shared


SPOILT: list[tuple[str, dict[str, Any]]] = [
    ("Resolved.returned.v1.json", {"reason": None}),
    ("Resolved.cancelled.v1.json", {"reason": None}),
    ("Evaluated.closed.v1.json", {"outcome": None}),
    ("Evaluated.rework.v1.json", {"failed": []}),
    ("ReportFiled.new.v1.json", {"kind": None}),
    ("Assigned.dispatched.v1.json", {"plan": []}),
    ("Assigned.dispatched.v1.json", {"filed_at": "2026-05-09T09:00:00+08:00"}),
    ("ReportFiled.rating.v1.json", {"rating": 6}),
    ("Request.note.v1.json", {"note": ""}),
    ("Notice.urged.v1.json", {"to": "Fire"}),
]


@pytest.mark.parametrize(("name", "spoilt"), SPOILT)
def test_schema_and_models_refuse_the_same(name: str, spoilt: dict[str, Any]) -> None:
    example, tree = EXAMPLES[name], orjson.loads(EXAMPLES[name].raw)
    for field, value in spoilt.items():
        for absent in (False, True) if value is None else (False,):
            broken = {**tree, "data": {**tree["data"], field: value}}
            if absent:
                del broken["data"][field]
            assert not VALIDATORS[example.type].is_valid(broken)
            assert not accepted(example.topic, broken)


@pytest.mark.parametrize("name", ["Resolved.fixed.v1.json", "Request.note.v1.json", "Notice.urged.v1.json"])
def test_schema_and_models_both_want_a_cause_or_an_actor(name: str) -> None:
    example, tree = EXAMPLES[name], orjson.loads(EXAMPLES[name].raw)
    tree = {attribute: value for attribute, value in tree.items() if attribute not in ("causationid", "actor")}
    assert not VALIDATORS[example.type].is_valid(tree)
    assert not accepted(example.topic, tree)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.startswith("Progressed")])
def test_schema_and_models_know_who_says_a_step(name: str) -> None:
    tree = orjson.loads(EXAMPLES[name].raw)
    for source in (*DECIDERS, "/services/audit", "/partners/fire"):
        said = {**tree, "source": source}
        assert VALIDATORS["Progressed"].is_valid(said) is (source in PUBLISHERS[tree["data"]["step"]])
        assert accepted("Progressed", said) is (source in PUBLISHERS[tree["data"]["step"]])


def test_no_model_has_a_rule_that_no_schema_tells() -> None:
    """A validator added to a model needs its entry in RULES, or a word here why JSON Schema can't say it."""
    validated = {
        node.name
        for path in (ROOT / "contracts").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any("validator" in ast.unparse(part) for item in node.body for part in getattr(item, "decorator_list", ()))
    }
    assert validated == set(RULES), "RULES of contracts/export/schemas.py tells partners what validators demand"


def test_the_document_has_no_loose_ends() -> None:
    for node in nodes(DOCUMENT):
        if isinstance(node.get("$ref"), str):
            target: Any = DOCUMENT
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]


def test_the_document_has_a_channel_for_each_type_with_its_bindings() -> None:
    assert list(DOCUMENT["channels"]) == list(TYPES), "`python -m contracts.export` writes contracts/asyncapi.yaml anew"
    for name, channel in DOCUMENT["channels"].items():
        assert name_on(channel["address"].format(partner="fire")) == name
        assert list(channel["messages"]) == [name]
        assert channel["bindings"]["kafka"]["partitions"] == PARTITIONS == 6
        message = DOCUMENT["components"]["messages"][name]
        assert message["contentType"] == "application/cloudevents+json"
        assert set(message["bindings"]["kafka"]) == {"key", "bindingVersion"}
    headers = DOCUMENT["components"]["schemas"]["Headers"]
    assert headers["required"] == ["content-type"]
    assert set(headers["properties"]) == {"content-type", "traceparent", "mac"}


def test_a_partner_s_channels_have_its_id_as_their_parameter() -> None:
    for name, address in (("Request", "from.{partner}"), ("Notice", "to.{partner}")):
        channel = DOCUMENT["channels"][name]
        assert channel["address"] == address
        assert list(channel["parameters"]) == ["partner"]
        assert "topic" not in channel["bindings"]["kafka"]
    assert [name for name, channel in DOCUMENT["channels"].items() if "parameters" in channel] == ["Request", "Notice"]


def test_the_document_tells_who_sends_and_receives() -> None:
    told = {
        (operation["tags"][0]["name"], operation["action"], operation["channel"]["$ref"].rpartition("/")[2])
        for operation in DOCUMENT["operations"].values()
    }
    assert len(told) == len(DOCUMENT["operations"])
    assert told == {
        *((who, "send", name_on(topic)) for who, topics in SENDS.items() for topic in topics),
        *((who, "receive", name_on(topic)) for who, topics in RECEIVES.items() for topic in topics),
    }, "SENDS or RECEIVES of contracts/homes.py changed: `python -m contracts.export` writes the document"
    assert DOCUMENT["operations"]["partnerSendsRequest"]["reply"]["channel"] == {"$ref": "#/channels/Notice"}


def test_only_who_may_write_a_topic_sends_there() -> None:
    for topic in (*TOPICS, *PARTNERS):
        concrete = topic.replace("*", "fire")
        for who in SENDS:
            source = "/partners/fire" if who == "partner" else f"/services/{who}"
            said = f"contracts/wire.py (writes) and SENDS of contracts/homes.py differ on {who} and {topic}"
            assert writes(source, concrete) is (topic in SENDS[who]), said


def test_nobody_reads_what_only_it_writes() -> None:
    for who in SERVICES:
        alone = {topic for topic in SENDS[who] if sum(topic in topics for topics in SENDS.values()) == 1}
        assert not alone.intersection(RECEIVES[who])
    assert set(RECEIVES["audit"]) == {*TOPICS, *PARTNERS}, "audit reads every topic: services/audit/service.py"


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district")
    assert district_files(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_the_topics_the_document_says(service: str, district: Path) -> None:
    wiring = import_module(f"services.{service}.service")
    built = wiring.build(Settings.model_validate({"CASEGRID_DISTRICT": district}))
    said = f"services/{service}/service.py (topics=) and RECEIVES of contracts/homes.py differ"
    assert set(built.topics) == set(RECEIVES[service]), said
    decides, source = isinstance(built.model, Model), service_source(built.name)
    assert (source in DECIDERS) is decides, f"what {service} says of parked records is forged: contracts.homes.DECIDERS"

"""Every kind of breaking change is found and named; additive changes pass."""

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.export.__main__ import broken, drift, schema_path, write
from contracts.export.baseline import Unavailable, committed, revisions
from contracts.export.compatibility import breaking
from contracts.export.schemas import Schema, schema
from contracts.wire import TYPES

Change = Callable[[dict[str, Any]], Any]


def fields(tree: Schema, model: str) -> dict[str, Any]:
    return tree["$defs"][model]["properties"]


def changed(name: str, change: Change) -> tuple[Schema, Schema]:
    """(the schema as it is, a copy with the change)."""
    before = schema(name)
    after = copy.deepcopy(before)
    change(after)
    return before, after


def steps_of(tree: Schema, *sources: str) -> dict[str, Any]:
    """The rule on the steps that only these services may say."""
    return next(rule for rule in tree["allOf"] if rule.get("then") == {"properties": {"source": {"enum": [*sources]}}})


def a_step_more(tree: Schema) -> None:
    """A step of triage's that was not there before, with all that belongs to it."""
    tree["$defs"]["Inspected"] = {
        "type": "object",
        "properties": {"step": {"const": "inspected", "type": "string"}},
        "required": ["step"],
    }
    tree["properties"]["data"]["oneOf"].append({"$ref": "#/$defs/Inspected"})
    rule = steps_of(tree, "/services/triage")
    rule["if"]["properties"]["data"]["properties"]["step"]["enum"].insert(0, "inspected")


def text(**more: Any) -> Schema:
    return {"type": "string", **more}


BREAKING: list[tuple[str, str, Change, str]] = [
    ("a field removed", "Resolved", lambda s: fields(s, "Resolved").pop("note"), "data.note: was removed"),
    ("a new required field", "Resolved", lambda s: s["required"].append("region"), ""),
    (
        "a field renamed",
        "ReportFiled",
        lambda s: fields(s, "NewReport").update(headline=fields(s, "NewReport").pop("title")),
        "data.title: was removed",
    ),
    (
        "a field required",
        "Evaluated",
        lambda s: s["$defs"]["Evaluated"]["required"].append("checked_by"),
        "data.checked_by: is required now",
    ),
    (
        "a field no longer always there",
        "Assigned",
        lambda s: s["$defs"]["Assignment"]["required"].remove("resolve_by"),
        "data.plan[].resolve_by: was always there, may be absent now",
    ),
    (
        "a field that may be null now",
        "Resolved",
        lambda s: fields(s, "Resolved").update(unit={"anyOf": [fields(s, "Resolved")["unit"], {"type": "null"}]}),
        "data.unit: was always there, may be null now",
    ),
    (
        "a field retyped",
        "Evaluated",
        lambda s: fields(s, "Evaluated")["reason"]["anyOf"][0].update(type="object"),
        "data.reason: string is not accepted any more",
    ),
    (
        "a required field retyped",
        "Assigned",
        lambda s: fields(s, "Dispatched")["round"].update(type="string"),
        "data.round: is of type string now, was integer",
    ),
    (
        "an envelope attribute narrowed",
        "Assigned",
        lambda s: s["properties"]["id"].update(maxLength=30),
        "id: maxLength is 30 now, was 36",
    ),
    (
        "a source withdrawn",
        "Notice",
        lambda s: s["properties"]["source"]["enum"].remove("/services/intake"),
        "source: does not allow /services/intake any more",
    ),
    (
        "instants narrowed",
        "Resolved",
        lambda s: s["properties"].update(time={"type": "string", "pattern": "Z$", "format": "date-time"}),
        "time: pattern is Z$ now, was " + schema("Resolved")["$defs"]["Instant"]["pattern"],
    ),
    (
        "a step that fewer may say",
        "Progressed",
        lambda s: steps_of(s, "/services/dispatch", "/services/intake")["then"]["properties"]["source"]["enum"].pop(),
        "record: new rule: only /services/dispatch and /services/intake may say these steps",
    ),
    (
        "a rule on a step that was free",
        "Progressed",
        lambda s: s["allOf"].append(
            {
                "description": "only /services/triage may retry",
                "if": {"properties": {"data": {"properties": {"step": {"enum": ["retried"]}}}}},
                "then": {"properties": {"source": {"enum": ["/services/triage"]}}},
            }
        ),
        "record: new rule: only /services/triage may retry",
    ),
    (
        "null refused",
        "Resolved",
        lambda s: fields(s, "Resolved")["note"]["anyOf"].pop(),
        "data.note: null is not accepted any more",
    ),
    (
        "a value withdrawn",
        "Resolved",
        lambda s: fields(s, "Resolved")["outcome"]["enum"].remove("cancelled"),
        "data.outcome: does not allow cancelled any more",
    ),
    (
        "an enumeration where there was none",
        "Assigned",
        lambda s: fields(s, "Dispatched")["condition"].update(enum=["a", "b"]),
        "data.condition: allows only a, b now",
    ),
    (
        "a pattern changed",
        "ReportFiled",
        lambda s: fields(s, "Place")["area"]["anyOf"][0].update(pattern="^CH/"),
        "data.place.area: pattern is ^CH/ now, was ^[A-Za-z0-9-]+(/[A-Za-z0-9-]+){0,4}$",
    ),
    (
        "an upper limit lowered",
        "Assigned",
        lambda s: fields(s, "Dispatched")["priority"].update(maximum=3),
        "data.priority: maximum is 3 now, was 4",
    ),
    (
        "a lower limit raised",
        "Assigned",
        lambda s: fields(s, "Dispatched")["priority"].update(minimum=2),
        "data.priority: minimum is 2 now, was 1",
    ),
    (
        "a list shortened",
        "ReportFiled",
        lambda s: fields(s, "NewReport")["attachments"].update(maxItems=10),
        "data.attachments: maxItems is 10 now, was 50",
    ),
    (
        "a limit where there was none",
        "Evaluated",
        lambda s: fields(s, "Score")["value"].update(maximum=5),
        "data.scores[].value: maximum is 5 now, was not limited",
    ),
    (
        "the items of a list narrowed",
        "ReportFiled",
        lambda s: fields(s, "NewReport")["base_records"]["items"].update(maxLength=20),
        "data.base_records[]: maxLength is 20 now, was 200",
    ),
    (
        "a kind withdrawn",
        "ReportFiled",
        lambda s: s["properties"]["data"]["oneOf"].pop(),
        "data: kind reopening is not accepted any more",
    ),
    (
        "a rule more",
        "Resolved",
        lambda s: s["$defs"]["Resolved"]["allOf"].append({"description": "evidence please", "required": ["evidence"]}),
        "data: new rule: evidence please",
    ),
]
ADDITIVE: list[tuple[str, str, Change]] = [
    ("nothing", "Assigned", lambda s: None),
    ("an optional field", "Resolved", lambda s: fields(s, "Resolved").update(weather=text())),
    ("an optional attribute", "Resolved", lambda s: s["properties"].update(tenant=text(maxLength=20))),
    ("a value more", "Resolved", lambda s: fields(s, "Resolved")["outcome"]["enum"].append("claimed")),
    ("a step more, which one service says", "Progressed", a_step_more),
    ("a source more", "Notice", lambda s: s["properties"]["source"]["enum"].append("/services/triage")),
    ("a wider limit", "Resolved", lambda s: fields(s, "Resolved")["unit"].update(maxLength=400)),
    ("a limit lifted", "Resolved", lambda s: fields(s, "Resolved")["unit"].pop("maxLength")),
    ("other words", "Resolved", lambda s: fields(s, "Resolved")["unit"].update(description="who")),
    ("a rule less", "Resolved", lambda s: s["$defs"]["Resolved"].pop("allOf")),
    (
        "a kind more",
        "ReportFiled",
        lambda s: s["properties"]["data"]["oneOf"].append(
            {"type": "object", "properties": {"kind": {"const": "correction"}}, "required": ["kind"]}
        ),
    ),
    (
        "a model renamed",
        "Resolved",
        lambda s: (
            s["$defs"].update(End=s["$defs"].pop("Resolved")),
            s["properties"].update(data={"$ref": "#/$defs/End"}),
        ),
    ),
    (
        "an integer that may be any number",
        "Assigned",
        lambda s: fields(s, "Dispatched")["round"].update(type="number"),
    ),
]


@pytest.mark.parametrize(("name", "change", "told"), [row[1:] for row in BREAKING], ids=[row[0] for row in BREAKING])
def test_a_breaking_change_is_named(name: str, change: Change, told: str) -> None:
    before, after = changed(name, change)
    if not told:  # a required attribute that is not described at all
        after["properties"]["region"] = text()
        told = "region: is required now"
    assert breaking(before, after) == [told]


@pytest.mark.parametrize(("name", "change"), [row[1:] for row in ADDITIVE], ids=[row[0] for row in ADDITIVE])
def test_an_additive_change_passes(name: str, change: Change) -> None:
    assert breaking(*changed(name, change)) == []


def test_every_breaking_change_is_told() -> None:
    def change(tree: dict[str, Any]) -> None:
        fields(tree, "Resolved").pop("note")
        fields(tree, "Attachment")["uri"].update(maxLength=100)

    assert breaking(*changed("Resolved", change)) == [
        "data.note: was removed",
        "data.evidence[].uri: maxLength is 100 now, was 2000",
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of its own that holds what the models say, not committed yet."""
    write(tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "test")
    git(tmp_path, "config", "user.email", "test@localhost")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "contracts")


def test_what_was_committed_is_compared_with_the_models(checkout: Path) -> None:
    path = checkout / schema_path("Resolved")
    old = orjson.loads(path.read_bytes())
    fields(old, "Resolved")["urgency"] = text()
    path.write_bytes(orjson.dumps(old))
    example = checkout / "contracts/examples/Resolved.fixed.v1.json"
    example.write_bytes(example.read_bytes().replace(b'"fixed"', b'"mended"'))
    commit(checkout)
    write(checkout)
    assert list(broken(committed(checkout, "HEAD"), "HEAD")) == [
        "Resolved: data.urgency: was removed (compared with HEAD)",
        "contracts/examples/Resolved.fixed.v1.json of HEAD no longer parses: data.outcome: must be one of fixed, "
        "returned, cancelled",
    ]


def test_a_breaking_change_that_is_committed_is_found_by_the_last_release(checkout: Path) -> None:
    path = checkout / schema_path("Assigned")
    old = orjson.loads(path.read_bytes())
    fields(old, "Merged")["note"] = text()
    path.write_bytes(orjson.dumps(old))
    commit(checkout)
    git(checkout, "tag", "v0.1.0")
    write(checkout)
    commit(checkout)
    assert revisions(checkout) == ["HEAD", "v0.1.0"]
    assert list(broken(committed(checkout, "HEAD"), "HEAD")) == []
    assert list(broken(committed(checkout, "v0.1.0"), "v0.1.0")) == [
        "Assigned: data.note: was removed (compared with v0.1.0)"
    ]


def test_before_the_first_release_whatever_was_committed_may_change(checkout: Path) -> None:
    commit(checkout)
    git(checkout, "tag", "before-the-rewrite")
    with pytest.raises(Unavailable, match="nothing has been released"):
        revisions(checkout)
    git(checkout, "tag", "v0.1.0")
    assert revisions(checkout) == ["HEAD", "v0.1.0"]


def test_an_example_of_a_partner_s_topic_is_read_on_it(checkout: Path) -> None:
    commit(checkout)
    assert list(broken(committed(checkout, "HEAD"), "HEAD")) == []
    for name in ("Request.note", "Notice.urged"):
        path = checkout / f"contracts/examples/{name}.v1.json"
        path.write_bytes(path.read_bytes().replace(b'"fire"', b'"Fire"').replace(b'"note": ', b'"remark": '))
    commit(checkout)
    found = list(broken(committed(checkout, "HEAD"), "HEAD"))
    assert [words.partition(":")[0] for words in found] == [
        "contracts/examples/Notice.urged.v1.json of HEAD no longer parses",
        "contracts/examples/Request.note.v1.json of HEAD no longer parses",
    ]


def test_without_history_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not a git checkout"):
        revisions(tmp_path)
    git(tmp_path, "init", "--quiet")
    with pytest.raises(Unavailable, match="no HEAD"):
        revisions(tmp_path)


def test_a_revision_without_contracts_breaks_nothing(checkout: Path) -> None:
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "begin")
    assert committed(checkout, "HEAD") == {}


def test_a_file_that_is_not_what_the_models_say_is_shown(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(drift(tmp_path)) == []
    (tmp_path / schema_path("Resolved")).unlink()
    path = tmp_path / "contracts/asyncapi.yaml"
    path.write_text(path.read_text().replace("partitions: 6", "partitions: 7"))
    (tmp_path / "contracts/examples/Resolved.old.v1.json").write_text("{}")
    missing, different, stale = drift(tmp_path)
    assert missing == "contracts/schemas/Resolved.v1.json: is missing"
    assert "-        partitions: 7" in different
    assert "+        partitions: 6" in different
    assert stale == "contracts/examples/Resolved.old.v1.json: nothing writes it any more"
    assert set(write(tmp_path)) == {
        "contracts/schemas/Resolved.v1.json",
        "contracts/asyncapi.yaml",
        "contracts/examples/Resolved.old.v1.json",
    }
    assert list(drift(tmp_path)) == []


def test_examples_of_superseded_versions_stay(tmp_path: Path) -> None:
    write(tmp_path)
    old = tmp_path / "contracts/examples/Resolved.fixed.v0.json"
    old.write_text("{}")
    assert list(drift(tmp_path)) == []
    assert list(write(tmp_path)) == []
    assert old.exists()


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_breaks_nothing_of_itself(name: str) -> None:
    assert breaking(schema(name), schema(name)) == []

"""One JSON Schema (draft 2020-12) per topic: the envelope and everything that may be in `data`."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from contracts.envelope import Event
from contracts.export import docstrings
from contracts.fields import Fact
from contracts.wire import ADAPTERS, HOMES, MAX_BYTES, VERSION, schema_of, type_of

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-]00:00)$"
"""RFC 3339 in UTC; validators need not know `format`."""

RULES: Mapping[str, list[Schema]] = {
    "Event": [
        {
            "description": "causationid or actor must say what began the event",
            "anyOf": [
                {"required": ["causationid"], "properties": {"causationid": {"type": "string"}}},
                {"required": ["actor"], "properties": {"actor": {"type": "string"}}},
            ],
        }
    ],
    "Resolved": [
        {
            "description": "reason is required unless outcome is fixed",
            "if": {"properties": {"outcome": {"const": "fixed"}}},
            "else": {"required": ["reason"], "properties": {"reason": {"type": "string"}}},
        }
    ],
    "Evaluated": [
        {
            "description": "outcome is required where verdict is closed",
            "if": {"properties": {"verdict": {"const": "closed"}}},
            "then": {"required": ["outcome"], "properties": {"outcome": {"type": "string"}}},
        },
        {
            "description": "failed must name at least one assignment where verdict is rework",
            "if": {"properties": {"verdict": {"const": "rework"}}},
            "then": {"required": ["failed"], "properties": {"failed": {"minItems": 1}}},
        },
    ],
}
"""Model -> what its validators demand beyond the types of its fields, where JSON Schema can say it."""


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(topic: str) -> Schema:
    """The complete schema of the records on `topic`: what a writer must keep to, as far as JSON Schema can say it.

    It can't say that subject, partitionkey and correlationid are equal, nor how many bytes a record may have.
    """
    made = ADAPTERS[topic].json_schema(schema_generator=_Untitled)
    definitions: dict[str, Schema] = made.pop("$defs", {})
    models = {model.__name__: model for model in _subclasses(Fact)}
    for name, definition in definitions.items():
        _document(definition, models[name])
    _document(made, Event)
    properties = made["properties"]
    properties["type"] = {"const": type_of(topic), "description": "The topic's name and the version of its facts."}
    properties["source"]["pattern"] = _sources(topic)
    data = properties["data"]
    if "discriminator" in data:
        _require_tag(data, definitions)
    for node in nodes([made, definitions]):
        if node.get("format") == "date-time":
            node["pattern"] = INSTANT
    made.pop("title", None)
    description = inspect.cleandoc(Event.__doc__ or "")
    return {
        "$schema": DIALECT,
        "$id": schema_of(topic),
        "title": f"{topic}, version {VERSION}",
        "description": f"{description} A record has {MAX_BYTES} bytes at most.",
        **made,
        "$defs": definitions,
    }


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON document, outermost first."""
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def _document(definition: Schema, model: type[BaseModel]) -> None:
    for name, words in docstrings.of_fields(model).items():
        if name in definition["properties"]:
            definition["properties"][name]["description"] = words
    if rules := RULES.get(model.__name__):
        definition["allOf"] = rules


def _require_tag(union: Schema, definitions: Mapping[str, Schema]) -> None:
    """Makes the field that tells the variants apart required: its default is only for writers in Python."""
    tag = union.pop("discriminator")["propertyName"]
    for variant in union["oneOf"]:
        definition = definitions[variant["$ref"].rpartition("/")[2]]
        definition["properties"][tag].pop("default")
        definition["required"] = [tag, *definition.get("required", [])]


def _sources(topic: str) -> str:
    home = HOMES.get(topic, "/services/[a-z0-9][a-z0-9-]*")
    return f"^({home}|/partners/[a-z0-9][a-z0-9-]*)$"


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)

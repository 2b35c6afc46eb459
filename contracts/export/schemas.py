"""One JSON Schema (draft 2020-12) per type: the envelope and everything that may be in `data`."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from contracts.envelope import Event, PartnerEvent
from contracts.fields import CLAIMED, INSTANT, Shape, is_list, is_object
from contracts.homes import DECIDERS, HOMES, TELLERS
from contracts.progress import PUBLISHERS
from contracts.wire import ADAPTERS, VERSION, most_bytes, schema_of, type_of

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

RULES: Mapping[str, list[Schema]] = {
    "_Envelope": [
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

_INSTANTS: Mapping[str, tuple[str, str]] = {
    INSTANT: ("Instant", "A point in time in UTC (`Z`), from 1970 to 2199, to the microsecond (RFC 3339)."),
    CLAIMED: ("ClaimedInstant", "A point in time with any offset, from 1970 to 2199, to the microsecond (RFC 3339)."),
}
"""Pattern -> the definition that holds it once, for it is long."""


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(name: str) -> Schema:
    """The complete schema of the records of a type: what a writer must keep to, as far as JSON Schema can say it.

    It can't say that subject, partitionkey and correlationid are equal, how many bytes a record may have, nor that a
    partner's topic belongs to the one that `source` or `data.to` names.
    """
    made = ADAPTERS[name].json_schema(schema_generator=_Untitled)
    definitions: dict[str, Schema] = made.pop("$defs", {})
    models = {model.__name__: model for model in _subclasses(Shape)}
    for title, definition in definitions.items():
        _document(definition, models[title])
    envelope = PartnerEvent if name == "Request" else Event
    _document(made, envelope)
    properties = made["properties"]
    properties["type"] = {"const": type_of(name), "description": "The name of the type, and its version."}
    properties["source"] = {"type": "string", **_sources(name), "description": properties["source"]["description"]}
    if name == "Progressed":
        made["allOf"] = [*made["allOf"], *_publishers()]
    data = properties["data"]
    if "discriminator" in data:
        _require_tag(data, definitions)
    for node in list(nodes([made, definitions])):
        if node.get("additionalProperties") is False:  # for whoever builds one in Python; readers overlook others
            del node["additionalProperties"]
    _share_instants(made, definitions)
    made.pop("title", None)
    description = inspect.cleandoc(envelope.__doc__ or "")
    return {
        "$schema": DIALECT,
        "$id": schema_of(name),
        "title": f"{name}, version {VERSION}",
        "description": f"{description} A record has {most_bytes(name)} bytes at most.",
        **made,
        "$defs": dict(sorted(definitions.items())),
    }


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON document, outermost first."""
    if is_object(tree):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif is_list(tree):
        for value in tree:
            yield from nodes(value)


def _document(definition: Schema, model: type[BaseModel]) -> None:
    rules = [rule for cls in model.__mro__ for rule in RULES.get(cls.__name__, ())]
    if rules:
        definition["allOf"] = rules


def _require_tag(union: Schema, definitions: Mapping[str, Schema]) -> None:
    """Makes the field that tells the variants apart required: its default is only for writers in Python."""
    tag = union.pop("discriminator")["propertyName"]
    for variant in union["oneOf"]:
        definition = definitions[variant["$ref"].rpartition("/")[2]]
        definition["properties"][tag].pop("default")
        definition["required"] = [tag, *definition.get("required", [])]


def _share_instants(made: Schema, definitions: dict[str, Schema]) -> None:
    for node in list(nodes([made, definitions])):
        if node.get("pattern") in _INSTANTS:
            title, words = _INSTANTS[node["pattern"]]
            definitions[title] = {
                "description": words,
                **{key: node.pop(key) for key in ("type", "format", "pattern")},
            }
            node["$ref"] = f"#/$defs/{title}"


def _sources(name: str) -> Schema:
    """Who may say this type at all."""
    if name == "Request":
        return {"pattern": "^/partners/[a-z0-9][a-z0-9-]{0,49}$"}
    if name in HOMES:
        return {"enum": [HOMES[name]]}
    return {"enum": sorted(TELLERS if name == "Notice" else DECIDERS)}


def _publishers() -> Iterator[Schema]:
    """Who says which steps, where not every service does."""
    said: dict[tuple[str, ...], list[str]] = {}
    for step, sources in PUBLISHERS.items():
        said.setdefault(tuple(sorted(sources)), []).append(step)
    for sources, steps in said.items():
        if frozenset(sources) != DECIDERS:
            stepping = {"required": ["step"], "properties": {"step": {"enum": steps}}}
            yield {
                "description": f"only {' and '.join(sources)} may say these steps",
                "if": {"required": ["data"], "properties": {"data": stepping}},
                "then": {"properties": {"source": {"enum": list(sources)}}},
            }


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)

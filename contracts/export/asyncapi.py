"""The AsyncAPI 3.0 document: servers, channels with their Kafka bindings, messages, who sends and receives what.

A channel is called by the type that it holds; the two that each partner has are one channel each, with the partner's id
as its parameter. Self-contained: the schemas are in its components, so that any AsyncAPI tool reads it by itself.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import yaml

from contracts.envelope import CONTENT_TYPE
from contracts.export.examples import Example
from contracts.export.schemas import nodes, schema
from contracts.fields import CASE_ID
from contracts.homes import EVERY_FROM, EVERY_TO, RECEIVES, SENDS
from contracts.wire import TOPICS, TYPES, VERSION, most_bytes, name_on

PARTITIONS = 6
BINDING = "0.5.0"

_SAYS = {
    "ReportFiled": "A report: new, a supplement, a withdrawal; once it is closed, a rating or the wish to reopen it.",
    "Assigned": "Triage's ruling: dispatched with a plan, merged into another case, rejected, withdrawn, upheld.",
    "Resolved": "How one assignment ended: fixed, returned, cancelled.",
    "Evaluated": "The verdict on a case: closed with an outcome, or rework; with scores.",
    "Progressed": "A step in between: acknowledged, on scene, urged, overdue ... No other service decides on it.",
    "Request": "What a partner's system asks for: reports, and what its units do. Each that can be read gets one "
    "answer on to.{partner}, accepted or refused, within the limits of contracts/README.md; what is beyond them waits "
    "for the operator. A repetition is not answered again.",
    "Notice": "What a partner may know: its units' assignments, how its reports go, the answers to its requests.",
}

PARTNERS = EVERY_FROM, EVERY_TO
"""The two topics of every partner."""


def document(examples: Sequence[Example]) -> bytes:
    """The document as YAML; the first example of each type is its message's."""
    schemas: dict[str, Any] = {}
    for name in TYPES:
        made = schema(name)
        for title, definition in made.pop("$defs").items():
            assert schemas.setdefault(title, definition) == definition, f"two different schemas are called {title}"
        schemas[_component(name)] = {key: value for key, value in made.items() if key not in ("$schema", "$id")}
    for node in nodes(schemas):
        if isinstance(node.get("$ref"), str):
            node["$ref"] = node["$ref"].replace("#/$defs/", "#/components/schemas/")
    tree = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Casegrid",
            "version": f"{VERSION}.0.0",
            "description": "Facts about cases in grid-based city management: reported, assigned, resolved, evaluated; "
            "and what partners' systems say and hear. How to take part: contracts/README.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT_TYPE.decode(),
        "servers": _servers(),
        "channels": {name_on(topic): _channel(topic) for topic in (*TOPICS, *PARTNERS)},
        "operations": {
            f"{who}{verb.capitalize()}s{name_on(topic)}": _operation(who, verb, name_on(topic))
            for verb, table in (("send", SENDS), ("receive", RECEIVES))
            for who, topics in table.items()
            for topic in topics
        },
        "components": {
            "messages": {name: _message(name, examples) for name in TYPES},
            "schemas": {"CaseKey": _key(), "Headers": _headers(), **dict(sorted(schemas.items()))},
            "securitySchemes": {
                "scram": {
                    "type": "scramSha256",
                    "description": "One user per partner, `partner.<id>`. It may write its own `from.<id>` and read "
                    "its own `to.<id>`, in groups that are called like it or begin with its name and a dot, "
                    "nothing else.",
                }
            },
        },
    }
    words = yaml.dump(tree, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    return b"# Written by `python -m contracts.export` from the models; changes made here are lost.\n" + words.encode()


class _Plain(yaml.SafeDumper):
    """Repeats what occurs twice instead of pointing to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _component(name: str) -> str:
    return f"{name}.v{VERSION}"


def _says(name: str) -> str:
    if name not in _SAYS:
        raise LookupError(f"the type {name} has no sentence in _SAYS of contracts/export/asyncapi.py")
    return _SAYS[name]


def _servers() -> dict[str, Any]:
    return {
        "development": {
            "host": "127.0.0.1:19092",
            "protocol": "kafka",
            "description": "The embedded stack (`make up`); this machine only, without TLS.",
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
        "production": {
            "host": "{broker}",
            "protocol": "kafka-secure",
            "description": "An installation's brokers; the operator gives address, user and password.",
            "variables": {"broker": {"default": "broker.example.org:9093", "description": "host:port of one broker"}},
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _channel(topic: str) -> dict[str, Any]:
    name = name_on(topic)
    made: dict[str, Any] = {
        "address": topic.replace("*", "{partner}"),
        "description": _says(name),
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }
    kafka: dict[str, Any] = {
        "partitions": PARTITIONS,
        "replicas": 1,
        "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1},
        "bindingVersion": BINDING,
    }
    if topic in PARTNERS:
        made["parameters"] = {
            "partner": {"description": "The partner's id, as it is registered.", "examples": ["hotline", "fire"]}
        }
    else:
        kafka = {"topic": topic, **kafka}
    return {**made, "bindings": {"kafka": kafka}}


def _message(name: str, examples: Sequence[Example]) -> dict[str, Any]:
    example = next((example for example in examples if example.type == name), None)
    if example is None:
        raise LookupError(f"no example is of the type {name}: tell one in contracts/export/examples.py")
    return {
        "name": name,
        "title": f"{name}, version {VERSION}",
        "summary": _says(name),
        "description": f"Key: the case id. {most_bytes(name)} bytes at most. May come again: (source, id) is unique.",
        "contentType": CONTENT_TYPE.decode(),
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{_component(name)}"},
        "correlationId": {"location": "$message.payload#/correlationid", "description": "The case id."},
        "bindings": {"kafka": {"key": {"$ref": "#/components/schemas/CaseKey"}, "bindingVersion": BINDING}},
        "examples": [
            {
                "name": example.name,
                "headers": {"content-type": CONTENT_TYPE.decode()},
                "payload": orjson.loads(example.raw),
            }
        ],
    }


def _operation(who: str, action: str, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "tags": [{"name": who}],
    }
    if name == "Request" and action == "send":
        made["reply"] = {
            "channel": {"$ref": "#/channels/Notice"},
            "messages": [{"$ref": "#/channels/Notice/messages/Notice"}],
        }
    if action == "receive" and who != "partner":
        made["bindings"] = {"kafka": {"groupId": {"type": "string", "enum": [who]}, "bindingVersion": BINDING}}
    return made


def _key() -> dict[str, Any]:
    return {
        "type": "string",
        "description": "The case id as UTF-8 text: a UUID in lower case, equal to the event's subject.",
        "pattern": CASE_ID.pattern,
    }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Kafka record headers. No header starts with ce_: the envelope is in the value.",
        "required": ["content-type"],
        "properties": {
            "content-type": {"type": "string", "const": CONTENT_TYPE.decode()},
            "traceparent": {
                "type": "string",
                "pattern": schema("Progressed")["properties"]["traceparent"]["anyOf"][0]["pattern"],
                "description": "W3C Trace Context of the hop that wrote the record.",
            },
            "mac": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{22}$",
                "description": "By which a service knows its own records again. It says nothing to anybody else, and "
                "partners write none.",
            },
        },
    }

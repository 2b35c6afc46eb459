"""The AsyncAPI 3.0 document: servers, the five channels with their Kafka bindings, messages, who sends and receives.

Self-contained: the schemas of the facts are in its components, so that any AsyncAPI tool reads it by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import yaml

from contracts.envelope import CONTENT_TYPE
from contracts.export.examples import Example
from contracts.export.schemas import nodes, schema
from contracts.fields import CASE_ID
from contracts.wire import MAX_BYTES, TOPICS, VERSION

PARTITIONS = 6
BINDING = "0.5.0"

_SAYS = {
    "ReportFiled": "A report: new, a supplement to a case, or a withdrawal.",
    "Assigned": "Triage's ruling: dispatched with a plan, merged into another case, rejected, withdrawn.",
    "Resolved": "How one assignment ended: fixed, returned, escalated, cancelled.",
    "Evaluated": "The verdict on a case: closed with an outcome, or rework; with scores.",
    "Progressed": "A step in between: acknowledged, on scene, urged, overdue ... Nobody may base a decision on it.",
}

SENDS: Mapping[str, Sequence[str]] = {
    "intake": ("ReportFiled", "Progressed"),
    "triage": ("Assigned", "Progressed"),
    "dispatch": ("Resolved", "Progressed"),
    "feedback": ("Evaluated", "Progressed"),
    "audit": (),
    "partner": ("ReportFiled", "Resolved"),
}
RECEIVES: Mapping[str, Sequence[str]] = {
    "intake": ("ReportFiled", "Assigned", "Evaluated"),
    "triage": ("ReportFiled", "Resolved", "Evaluated"),
    "dispatch": ("Assigned", "Resolved", "Evaluated"),
    "feedback": ("Assigned", "Resolved", "Evaluated"),
    "audit": tuple(TOPICS),
    "partner": tuple(TOPICS),
}
"""Who reads what; intake, dispatch and feedback read their own topic too, for what partners put there."""


def document(examples: Sequence[Example]) -> bytes:
    """The document as YAML; the first example of each topic is its message's."""
    schemas: dict[str, Any] = {}
    for topic in TOPICS:
        made = schema(topic)
        for name, definition in made.pop("$defs").items():
            assert schemas.setdefault(name, definition) == definition, f"two different schemas are called {name}"
        schemas[_component(topic)] = {key: value for key, value in made.items() if key not in ("$schema", "$id")}
    for node in nodes(schemas):
        if isinstance(node.get("$ref"), str):
            node["$ref"] = node["$ref"].replace("#/$defs/", "#/components/schemas/")
    tree = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Casegrid",
            "version": f"{VERSION}.0.0",
            "description": "Facts about cases in grid-based city management: reported, assigned, resolved, evaluated. "
            "How to publish and subscribe: contracts/README.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT_TYPE.decode(),
        "servers": _servers(),
        "channels": {topic: _channel(topic) for topic in TOPICS},
        "operations": {
            **{f"{who}Sends{topic}": _operation(who, "send", topic) for who in SENDS for topic in SENDS[who]},
            **{
                f"{who}Receives{topic}": _operation(who, "receive", topic)
                for who in RECEIVES
                for topic in RECEIVES[who]
            },
        },
        "components": {
            "messages": {topic: _message(topic, examples) for topic in TOPICS},
            "schemas": {"CaseKey": _key(), "Headers": _headers(), **dict(sorted(schemas.items()))},
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "One account per partner; it may write to its topics only.",
                }
            },
        },
    }
    words = yaml.dump(tree, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)
    return b"# Written by `python -m contracts.export` from the models; changes made here are lost.\n" + words.encode()


class _Plain(yaml.SafeDumper):
    """Repeats what occurs twice instead of pointing to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _component(topic: str) -> str:
    return f"{topic}.v{VERSION}"


def _servers() -> dict[str, Any]:
    return {
        "development": {
            "host": "127.0.0.1:19092",
            "protocol": "kafka",
            "description": "The embedded stack (`make up`); this machine only, no credentials.",
        },
        "production": {
            "host": "{broker}",
            "protocol": "kafka-secure",
            "description": "An installation's brokers; the operator gives address and account.",
            "variables": {"broker": {"default": "broker.example.org:9093", "description": "host:port of one broker"}},
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _channel(topic: str) -> dict[str, Any]:
    return {
        "address": topic,
        "description": _SAYS[topic],
        "messages": {topic: {"$ref": f"#/components/messages/{topic}"}},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": PARTITIONS,
                "replicas": 1,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1},
                "bindingVersion": BINDING,
            }
        },
    }


def _message(topic: str, examples: Sequence[Example]) -> dict[str, Any]:
    example = next(example for example in examples if example.topic == topic)
    return {
        "name": topic,
        "title": f"{topic}, version {VERSION}",
        "summary": _SAYS[topic],
        "description": f"Key: the case id. {MAX_BYTES} bytes at most. Sent at least once: (source, id) is unique.",
        "contentType": CONTENT_TYPE.decode(),
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{_component(topic)}"},
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


def _operation(who: str, action: str, topic: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{topic}"}],
        "tags": [{"name": who}],
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
        },
    }

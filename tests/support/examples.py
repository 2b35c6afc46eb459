"""The examples of an OpenAPI document as calls, so that a test can make every one of them and check its answer."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from chassis.web.roles import routes_of
from tests.support.services import Running


@dataclass(frozen=True)
class Call:
    """One call as the document shows it; `path` still has its parameters in braces."""

    operation: str
    method: str
    path: str
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict(self.query) or self.body or ''}"


@dataclass(frozen=True)
class Prepared:
    """Who makes a call (the headers), and on what (the parameters of the path)."""

    who: Mapping[str, str] = field(default_factory=dict[str, str])
    path: Mapping[str, str] = field(default_factory=dict[str, str])


Preparations = Mapping[str, Callable[[Running], Awaitable[Prepared]]]
"""Operation -> what its examples need."""


async def make_every_call(
    running: Running, preparations: Preparations, client: httpx.AsyncClient | None = None
) -> None:
    """Makes every example of the service's own operations; each must succeed and be answered as the document says.

    `client` can read an answer while it is written, which an endless one needs.
    """
    document = (await running.client.get("/openapi.json")).json()
    for call in await own_calls(running, preparations):
        answer = await make(client or running.client, call, await preparations[call.operation](running))
        assert answer is None or mismatches(document, call, answer) == [], str(call)


async def own_calls(running: Running, preparations: Preparations) -> list[Call]:
    """Every example of the service's own operations. Those of every service are called in the tests of the chassis."""
    document = (await running.client.get("/openapi.json")).json()
    own = {route.name for route in routes_of(running.runtime.service.routes.router)}
    found = [call for call in calls(document) if call.operation in own]
    assert {call.operation for call in found} == own == preparations.keys()
    return found


async def make(client: httpx.AsyncClient, call: Call, prepared: Prepared) -> httpx.Response | None:
    """Makes a call, which must succeed. Of an answer without end nothing but its beginning is read."""
    path = call.path.format(**prepared.path)
    async with client.stream(call.method, path, headers=prepared.who, params=call.query, json=call.body) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            assert await anext(answer.aiter_lines()) == "retry: 1000"
            return None
        await answer.aread()
    assert answer.is_success, f"{call}: {answer.text}"
    return answer


def calls(document: Mapping[str, Any]) -> Iterator[Call]:
    """Every example of every operation: each body; of the query each parameter alone, and none of them."""
    for path, operations in document["paths"].items():
        for method, described in operations.items():
            operation = described["operationId"]
            required, optional = _parameters(document, described)
            for body in _bodies(document, described):
                yield Call(operation, method.upper(), path, body, required)
            for name, values in optional.items():
                for value in values:
                    yield Call(operation, method.upper(), path, None, {**required, name: value})


def mismatches(document: Mapping[str, Any], call: Call, answer: httpx.Response) -> list[str]:
    """Where an answer differs from the document's schema for it. A field that the schema does not name differs, too."""
    described = document["paths"][call.path][call.method.lower()]["responses"][str(answer.status_code)]
    if "content" not in described:
        return ["there is a body, but none is described"] if answer.content else []
    [content] = described["content"].values()
    closed = {
        name: {"additionalProperties": False, **schema} if "properties" in schema else schema
        for name, schema in document["components"]["schemas"].items()
    }
    validator = Draft202012Validator({**content["schema"], "components": {"schemas": closed}})
    return [f"{one.json_path}: {one.message}" for one in validator.iter_errors(answer.json())]


def _parameters(
    document: Mapping[str, Any], described: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    required: dict[str, Any] = {}
    optional: dict[str, list[Any]] = {}
    for one in described.get("parameters", ()):
        found = [*one.get("examples", {}).values(), *_schema_examples(document, one["schema"])]
        if one["in"] != "query":
            continue
        if one.get("required"):
            assert found, f"{described['operationId']}: the required parameter {one['name']} has no example"
            required[one["name"]] = found[0]
        else:
            optional[one["name"]] = found
    return required, optional


def _bodies(document: Mapping[str, Any], described: Mapping[str, Any]) -> list[Any]:
    if "requestBody" not in described:
        return [None]
    content = described["requestBody"]["content"]["application/json"]
    found = [one["value"] for one in content.get("examples", {}).values()]
    found += [content["example"]] if "example" in content else []
    found += _schema_examples(document, content["schema"])
    assert found, f"{described['operationId']}: the body has no example"
    return found


def _schema_examples(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Any]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = list(schema.get("examples", ()))
    for one in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        found += _schema_examples(document, one)
    if not found and "properties" in schema:
        whole = {name: _schema_examples(document, inner) for name, inner in schema["properties"].items()}
        named = {name: examples[0] for name, examples in whole.items() if examples}
        if set(schema.get("required", ())) <= named.keys():
            found.append(named)
    return found

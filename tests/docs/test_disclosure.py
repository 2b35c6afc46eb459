"""The page on disclosure names every route that shows personal data, texts or raw bytes, and no other."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from deploy import openapi
from tests.docs.pages import page, rows, spans

TELLING = {
    *("phone", "title", "text", "said", "note", "comment", "address", "data", "summary", "upheld_reason"),
    *("body_base64", "body_text", "evidence", "attachments"),
}
"""Fields that hold what somebody wrote, or bytes of which nobody knows what they hold."""
UNDESCRIBED = {"GET /parked", "GET /parked/{parked_id}"}
"""Routes whose answers the documents do not describe field by field."""
documents = cache(openapi.documents)


def fields(document: Any, schema: Any, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names of all fields that an answer may have, at any depth."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in seen:
            return
        schema, seen = document["components"]["schemas"][name], seen | {name}
    yield from schema.get("properties", {})
    extra = schema.get("additionalProperties")
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    inner += [extra] if isinstance(extra, dict) else []
    for one in inner:
        yield from fields(document, one, seen)


def answered(document: Any, operation: Any) -> set[str]:
    """The fields of an operation's answers when it succeeds."""
    return {
        field
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for content in answer.get("content", {}).values()
        for field in fields(document, content.get("schema", {}))
    }


def test_every_route_that_shows_what_somebody_wrote_is_on_the_page() -> None:
    showing = {
        (service, f"{method.upper()} {path}")
        for service, document in documents().items()
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if TELLING & answered(document, operation) or f"{method.upper()} {path}" in UNDESCRIBED
    }
    told = [
        (service, route)
        for row in rows(page("security/disclosure.md"))
        if "routes" in row
        for service in row["service"].split(", ")
        for route in spans(row["routes"])
    ]
    assert sorted(told) == sorted(showing)


def test_every_service_lists_what_was_read() -> None:
    assert all("/reads" in document["paths"] for document in documents().values())

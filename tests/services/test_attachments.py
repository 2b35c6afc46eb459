"""Where people may say that an attachment lies: every route of every service that takes one."""

from importlib import import_module
from typing import Any

from tests.support.attachments import ELSEWHERE, NO_MEDIA_TYPES, PUBLIC
from tests.support.examples import Call, Prepared, calls
from tests.support.services import Running

TAKES = {
    "intake": {("/reports", "attachments"), ("/reports/{case_id}/supplements", "attachments")},
    "triage": {("/cases/{case_id}/verification", "evidence")},
    "dispatch": {
        ("/assignments/{assignment_id}/resolve", "evidence"),
        ("/assignments/{assignment_id}/note", "evidence"),
    },
    "feedback": {("/cases/{case_id}/check", "evidence")},
    "audit": set(),
}
"""Service -> the routes that take attachments, and in which field."""


def taking(document: dict[str, Any]) -> dict[tuple[str, str], Call]:
    """(path, field) -> an example of the call, for every body that has a field of attachments."""
    found = {}
    for call in calls(document):
        described = document["paths"][call.path][call.method.lower()].get("requestBody")
        if described is not None:
            schema = described["content"]["application/json"]["schema"]
            for part in schema.get("oneOf") or [schema]:
                body = document["components"]["schemas"][part["$ref"].rpartition("/")[2]]
                found |= {
                    (call.path, name): call for name, field in body["properties"].items() if "Attachment" in str(field)
                }
    return found


async def refused(api: Running, prepared: Prepared, call: Call, field: str, **second: str) -> list[tuple[str, str]]:
    """(field, rule) of what is wrong with the call, which has two attachments in that field."""
    body = {**call.body, field: [{"uri": PUBLIC[0]}, {"uri": PUBLIC[0], **second}]}
    path = call.path.format_map(prepared.path)
    answer = await api.client.request(call.method, path, headers=prepared.who, json=body)
    assert answer.is_success or answer.status_code in (409, 422), (path, second, answer.text)
    return [(one["field"], one["rule"]) for one in answer.json().get("errors", ())]


async def test_an_attachment_lies_on_a_public_host_and_nowhere_else(api: Running) -> None:
    name = api.runtime.service.name
    found = taking((await api.client.get("/openapi.json")).json())
    assert found.keys() == TAKES[name]
    for (path, field), call in found.items():
        prepared = await import_module(f"tests.services.{name}.test_examples").PREPARATIONS[call.operation](api)
        for uri in ELSEWHERE:
            [(wrong, rule)] = await refused(api, prepared, call, field, uri=uri)
            assert wrong == f"{field}.1.uri", (path, uri)
            assert rule.startswith("must be an https URI of a public host by its name"), (path, uri)
        for media_type in NO_MEDIA_TYPES:
            told = [(f"{field}.1.media_type", "must be a media type, such as image/jpeg")]
            assert await refused(api, prepared, call, field, media_type=media_type) == told, (path, media_type)
        for uri in PUBLIC:
            assert await refused(api, prepared, call, field, uri=uri) == [], (path, uri)

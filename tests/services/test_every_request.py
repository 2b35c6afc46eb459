"""What any of the five services refuses before it looks at what is asked: bodies, headers, periods, tokens."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.services.every import EVERYBODY, IDS, Operation, ask, named, operations
from tests.support.examples import calls
from tests.support.services import Running, token

JSON = {"content-type": "application/json"}
DEEP = b'{"at": ' + b"[" * 200 + b"]" * 200 + b"}"
UNREADABLE = {
    b"{": "line 1 column 2",
    b'{"reason": "a",\n "note": }': "line 2 column 10",
    b'{"reason": "\xff"}': "UTF-8",
    b'{"reason": NaN}': "line 1 column 12",
    b'{"reason": "\\ud800"}': "surrogate",
    b'{"at": 123456789012345678901234567890}': "2^53-1",
    DEEP: "100 deep",
}
"""Bytes that are no JSON -> a word of the rule."""
LIBRARY = re.compile("Value error|Input should|Field required|Extra inputs|String should|valid dictionary")
"""Words of the library that validates."""
BEARER = {"authorization": "Bearer "}


async def send(api: Running, operation: Operation, content: bytes, **headers: str) -> httpx.Response:
    return await api.client.request(
        operation.method, operation.path, headers={**EVERYBODY, **JSON, **headers}, content=content
    )


async def with_bodies(api: Running) -> list[Operation]:
    """The operations that take a body; audit has none."""
    found = [one for one in await operations(api, "post", "put", "patch", "delete") if "requestBody" in one.described]
    assert (found == []) == (api.runtime.service.name == "audit")
    return found


def errors(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [(error["field"], error["rule"]) for error in answer.json().get("errors", ())]


async def test_a_body_that_is_no_json_is_refused_with_the_place_where_it_breaks(api: Running) -> None:
    for operation in await with_bodies(api):
        for content, word in UNREADABLE.items():
            answer = await send(api, operation, content)
            assert (answer.status_code, named(answer)) == (422, ["body"]), (operation.path, content, answer.text)
            assert word in answer.json()["detail"], (content, answer.json()["detail"])


async def test_a_name_that_stands_twice_in_a_body_is_refused(api: Running) -> None:
    """Of two values one would be overlooked."""
    for operation in await with_bodies(api):
        answer = await send(api, operation, b'{"reason": "one", "reason": "two"}')
        assert (answer.status_code, errors(answer)) == (422, [("reason", "is there twice")]), operation.path


async def test_a_body_that_is_not_said_to_be_json_is_refused(api: Running) -> None:
    for operation in await with_bodies(api):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            answer = await send(api, operation, b'{"reason": "x"}', **{"content-type": kind})
            assert (answer.status_code, named(answer)) == (422, ["Content-Type"]), (operation.path, kind, answer.text)
        for kind in ("application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"):
            answer = await send(api, operation, b'{"no such field": "x"}', **{"content-type": kind})
            assert answer.status_code == 404 or "no such field" in named(answer), (operation.path, kind, answer.text)


async def test_another_method_is_told_every_method_that_the_path_has(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    for path, described in document["paths"].items():
        answer = await api.client.request("PATCH", path.format_map(IDS), headers=EVERYBODY)
        assert answer.status_code == 405, path
        allowed = sorted(method.upper() for method in described)
        assert answer.headers["allow"].split(", ") == allowed, path
        assert f" takes {', '.join(allowed)}, not PATCH" in answer.json()["detail"]


async def test_a_path_that_is_not_there_is_named_and_leads_nowhere_else(api: Running) -> None:
    """A slash behind a path is another path: a redirect would go to whatever host the request names."""
    paths = [f"{one.path}/" for one in await operations(api, "get", "post")]
    for path in ("/nowhere", "/docs/", "/docs/assets/nowhere", *paths):
        answer = await api.client.get(path, headers={**EVERYBODY, "host": "elsewhere.example"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
        found = answer.json()
        assert (found["title"], found["detail"]) == ("Not found", f"there is nothing at {path}")


async def test_only_what_concerns_a_case_that_is_there_takes_its_version(api: Running) -> None:
    for operation in await operations(api, "post"):
        headers = dict(operation.parameters("header"))
        if "idempotency-key" in headers:
            assert ("if-match" in headers) == any(True for _ in operation.parameters("path")), operation.path
            assert ("412" in operation.described["responses"]) == ("if-match" in headers), operation.path


@pytest.mark.parametrize("key", [b"", b"   ", b"\t", b"x" * 201, b"caf\xc3\xa9", b"a\x7f"])
async def test_a_key_that_is_none_is_refused_and_named(api: Running, key: bytes) -> None:
    asked = 0
    for operation in await operations(api, "post", "delete"):
        if "Idempotency-Key" in dict(operation.parameters("header")):
            asked += 1
            headers = [(name.encode(), value.encode()) for name, value in EVERYBODY.items()]
            answer = await api.client.request(
                operation.method, operation.path, headers=[*headers, (b"idempotency-key", key)], json={}
            )
            assert answer.status_code in (404, 422), (operation.path, answer.text)
            if answer.status_code == 422:
                assert "Idempotency-Key" in named(answer), (operation.path, answer.text)
    assert asked >= (api.runtime.service.name != "audit")


async def test_what_does_not_exist_is_not_found_whatever_version_is_named(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    examples = [call for call in calls(document) if call.method != "GET" and "_id}" in call.path]
    for call in examples:
        headers = {**EVERYBODY, "if-match": '"7"'}
        answer = await api.client.request(call.method, call.path.format_map(IDS), headers=headers, json=call.body)
        assert answer.status_code == 404, (call, answer.text)
    assert (examples == []) == (api.runtime.service.name == "audit")


async def test_a_period_that_ends_before_it_begins_is_refused_in_every_list(api: Running) -> None:
    asked = 0
    early, late = "2026-05-09T08:00:00Z", "2026-05-09T16:00:00.000001+08:00"
    for operation in await operations(api, "get"):
        if {"since", "until"} <= dict(operation.parameters()).keys():
            asked += 1
            answer = await ask(api, operation, since=late, until=early)
            assert (answer.status_code, errors(answer)) == (422, [("until", "lies before since")]), operation.path
            assert (await ask(api, operation, since=early, until=early)).status_code == 200, operation.path
    assert asked >= (api.runtime.service.name != "dispatch")


NO_INSTANTS = ("0001-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-14:00")
NO_INSTANTS += ("2016-12-31T23:59:60Z", "2026-05-09T08:00:00", "0.5", "1778313600", "1e400", "-1")
NO_NUMBERS = ("+1", " 1", "01", "1.0", "0.5", "1_0", "1e0", "１", "", "true", str(2**63), "9" * 5000)
NO_FLAGS = ("1", "0", "yes", "on", "t", "True", "TRUE", "", "2")


def kinds_of(schema: dict[str, Any]) -> set[str]:
    every = (schema, *schema.get("anyOf", ()))
    return {one["format"] if "format" in one else one.get("type", "") for one in every}


async def test_what_is_not_written_as_the_document_says_is_refused_and_named(api: Running) -> None:
    """Whatever a lenient reader makes of it; and nothing of it is an error of the service."""
    asked = set[str]()
    for operation in await operations(api, "get"):
        for name, schema in operation.parameters():
            kinds = kinds_of(schema)
            for kind, values in (("date-time", NO_INSTANTS), ("integer", NO_NUMBERS), ("boolean", NO_FLAGS)):
                if kind in kinds:
                    asked.add(kind)
                    for value in values:
                        answer = await ask(api, operation, **{name: value})
                        assert (answer.status_code, named(answer)) == (422, [name]), (operation.path, name, value)
    assert {"date-time", "integer", "boolean"} == asked


async def test_a_number_in_a_path_is_written_as_the_document_says(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    asked = 0
    for path, described in document["paths"].items():
        for method, operation in described.items():
            for one in operation.get("parameters", ()):
                if one["in"] == "path" and one["schema"].get("type") == "integer":
                    asked += 1
                    for value in ("+1", "01", "1.0", "0.5", "1_0", "１", "-1", str(2**63), "9" * 5000):
                        url = path.replace("{" + one["name"] + "}", quote(value))
                        answer = await api.client.request(method, url, headers=EVERYBODY, json=None)
                        assert answer.status_code == 422, (url, answer.text)
                        assert one["name"] in named(answer), (url, answer.text)
    assert asked


async def test_an_answer_that_the_caller_has_in_any_version_is_not_sent_again(api: Running) -> None:
    asked = 0
    for operation in await operations(api, "get"):
        if "If-None-Match" in dict(operation.parameters("header")):
            asked += 1
            first = await ask(api, operation)
            for tag in ("*", first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
                again = await api.client.get(operation.path, headers={**EVERYBODY, "if-none-match": tag})
                assert (again.status_code, again.content) == (304, b""), (operation.path, tag)
    assert asked >= (api.runtime.service.name in ("intake", "triage"))


async def test_headers_are_named_as_http_writes_them(api: Running) -> None:
    every = await operations(api, "get", "post", "put", "patch", "delete")
    named = {name for operation in every for name, _ in operation.parameters("header")}
    assert named <= {"Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID"}
    assert "Idempotency-Key" in named or api.runtime.service.name == "audit"


def wrong_tokens() -> Iterator[tuple[str, dict[str, str]]]:
    """(claim, headers) of tokens that are signed well and say what no token may say."""
    for text in ("", "  ", "\u200b", "a\0", "a\nb", "\x7f", "\ud800", "x" * 201):
        yield "sub", token(text, "dispatcher")
        yield "areas", token("li", "dispatcher", areas=("CH", text))
        yield "unit", token("li", "dispatcher", unit=text)


async def test_a_token_that_says_what_no_token_may_say_is_refused_as_such(api: Running) -> None:
    lists = [one for one in await operations(api, "get") if "cursor" in dict(one.parameters())]
    for path in ("/me", *(one.path for one in lists)):
        for claim, headers in wrong_tokens():
            answer = await api.client.get(path, headers=headers)
            assert answer.status_code == 401, (path, claim, answer.text)
            told = answer.json()["detail"]
            assert f"claim {claim}" in told or "its claims: is not JSON" in told, (path, told)


async def test_no_error_speaks_of_the_library_that_found_it(api: Running) -> None:
    """Every rule of ours, and of a body as a whole, in our own words."""
    wrong: list[Any] = [{"at": "yesterday"}, {"passed": True, "reason": "x"}, {"confirmed": False}, {"granted": False}]
    wrong += [{"no such field": 1}, {"reason": 7}, {}, {"reason": ""}, {"place": 7}]
    wrong += [{"reject": True}, {"passed": False}, {"confirmed": True, "why": "not_ours"}]
    for operation in await with_bodies(api):
        for body in wrong:
            answer = await send(api, operation, json.dumps(body).encode())
            assert LIBRARY.search(answer.text) is None, (operation.path, answer.text)
            fields = named(answer) if answer.status_code == 422 else []
            assert len(fields) == len(set(fields)), (operation.path, fields)
            assert "[" not in "".join(fields), (operation.path, fields)
    for operation in await operations(api, "get"):
        for name, _ in operation.parameters():
            for value in ("", "0", "yesterday", "x y", "\x7f"):
                answer = await ask(api, operation, **{name: value})
                assert LIBRARY.search(answer.text) is None, (operation.path, answer.text)
                fields = named(answer) if answer.status_code == 422 else []
                assert len(fields) == len(set(fields)), (operation.path, fields)
                assert "[" not in "".join(fields), (operation.path, fields)

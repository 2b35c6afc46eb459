"""What holds for the APIs of all five services alike: the same question gets the same answer everywhere."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from chassis.service import Service
from chassis.web.application import PARKED, Routes
from chassis.web.bodies import Body
from chassis.web.paging import encode_cursor
from chassis.web.roles import ANYONE, SIGNED_IN, Access, Bound, routes_of
from contracts.roles import Role
from contracts.status import SERVICES, Status, shown_by
from tests.services.every import EVERYBODY, ask, named, operations, serving
from tests.support.facts import case_id
from tests.support.infrastructure import Database
from tests.support.services import Running, token

FORGED: tuple[list[Any], ...] = (
    *([], ["x"], [7], [-1], [2**63], [1.5], [None], [True], [["x"]], ["\0"], [{}]),
    *(["x", "x"], [7, "x"], ["2026-05-09", "x"], ["2026-05-09T08:00:00", "x"], ["0001-01-01T00:00:00Z", "x"]),
    *(["2026-05-09T08:00:00Z", 7], ["2026-05-09T08:00:00Z", "\0"], ["9999-12-31T23:59:59Z", "x"], [None, None]),
    ["x", "x", "x"],
)
INSTANTS = ("2026-05-09T08:00:00Z", "2026-05-09T16:00:00+08:00", "2026-05-09T08:00:00.123456-03:30")
NO_INSTANTS = ("2026-05-09", "2026-05-09T08:00:00", "1899-12-31T00:00:00Z", "2026-02-29T00:00:00Z", "yesterday", "0")
NO_AREAS = ("CH//x", "/CH", "CH/", "CH/a/b/c/d/e", "C H", "%")


broken_router = APIRouter()


@broken_router.get("/broken")
async def get_broken() -> None:
    raise ZeroDivisionError("a defect")


BROKEN = Routes(broken_router, {("GET", "/broken"): Access(ANYONE, Bound.NOTHING)}, {})
"""A route with a defect."""


def formats(schema: dict[str, Any]) -> set[str]:
    every = [schema, *schema.get("anyOf", ())]
    return {one["format"] for one in every if "format" in one}


async def test_a_forged_cursor_is_bad_input_in_every_list(api: Running) -> None:
    lists = [one for one in await operations(api, "get") if "cursor" in dict(one.parameters())]
    assert lists
    for operation in lists:
        for key in FORGED:
            answer = await ask(api, operation, cursor=encode_cursor(key))
            assert answer.status_code in (200, 404, 422), operation.path
            if answer.status_code == 422:
                assert named(answer) == ["cursor"]
        assert (await ask(api, operation, cursor="%21")).status_code in (404, 422)


async def test_an_instant_may_have_any_offset_and_must_have_one(api: Running) -> None:
    asked = 0
    for operation in await operations(api, "get"):
        for name, schema in operation.parameters():
            if "date-time" not in formats(schema):
                continue
            asked += 1
            for written in INSTANTS:
                answer = await ask(api, operation, **{name: written})
                assert answer.status_code != 422 or named(answer) != [name], (operation.path, name, answer.text)
            for written in NO_INSTANTS:
                answer = await ask(api, operation, **{name: written})
                assert (answer.status_code, named(answer)) == (422, [name]), (operation.path, name, written)
    assert asked >= 1


async def test_an_area_that_is_none_is_refused_and_named(api: Running) -> None:
    lists = [one for one in await operations(api, "get") if "area" in dict(one.parameters())]
    assert lists
    for operation in lists:
        for written in NO_AREAS:
            answer = await ask(api, operation, area=written)
            assert (answer.status_code, named(answer)) == (422, ["area"]), (operation.path, written)


@pytest.mark.parametrize(
    ("name", "value", "services"),
    [
        ("area", "CH/nowhere", SERVICES),
        ("category", "event.nowhere", ("triage", "feedback", "audit")),
        ("unit", "dept:no", ("dispatch", "feedback")),
    ],
)
async def test_a_filter_that_names_nothing_of_the_district_is_refused(
    api: Running, name: str, value: str, services: tuple[str, ...]
) -> None:
    """Audit has no district: it takes every well-formed name."""
    service = api.runtime.service.name
    lists = [one for one in await operations(api, "get") if name in dict(one.parameters())]
    assert (lists != []) == (service in services)
    for operation in lists:
        answer = await ask(api, operation, **{name: value})
        if service == "audit":
            assert answer.status_code == 200
        else:
            assert (answer.status_code, named(answer)) == (422, [name]), operation.path


def texts(document: dict[str, Any], schema: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Any]:
    """(path, JSON) of a body, once for each text that it can hold: with U+0000 there, and nothing else."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from texts(document, one, path)
    for name, inner in schema.get("properties", {}).items():
        for found, value in texts(document, inner, (*path, name)):
            yield found, {name: value}
    if schema.get("type") == "array":
        for found, value in texts(document, schema["items"], (*path, 0)):
            yield found, [value]
    if schema.get("type") == "string":
        yield path, "nul \0"


async def test_a_body_with_a_character_that_no_record_may_hold_is_refused_and_its_field_named(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    asked = set[str]()
    for operation in await operations(api, "post", "put", "patch", "delete"):
        for media in operation.described.get("requestBody", {}).get("content", {}).values():
            for path, body in texts(document, media["schema"]):
                answer = await api.client.request(operation.method, operation.path, headers=EVERYBODY, json=body)
                if answer.status_code == 404:  # some routes look for the case before they look at the body
                    continue
                field = ".".join(map(str, path))
                asked.add(field)
                assert (answer.status_code, named(answer)) == (422, [field]), (operation.path, answer.text)
                assert "U+0000" in answer.json()["detail"]
    assert ("reason" in asked) == (api.runtime.service.name != "audit")


def test_every_body_is_one_of_the_chassis(service: Service) -> None:
    """Which refuses unknown fields and U+0000 by name."""
    bodies = [
        route.body_field.field_info.annotation
        for route in routes_of((PARKED | service.routes).router)
        if route.body_field is not None
    ]
    assert bodies
    assert [body for body in bodies if not (isinstance(body, type) and issubclass(body, Body))] == []


async def test_a_parameter_that_a_route_does_not_have_is_refused_and_named(api: Running) -> None:
    """A misspelt filter would return everything."""
    for operation in await operations(api, "get"):
        answer = await ask(api, operation, staus="open")
        assert (answer.status_code, named(answer)) == (422, ["staus"]), operation.path


async def test_a_parameter_that_is_given_twice_is_refused_and_named(api: Running) -> None:
    """Of two values one would be overlooked."""
    for operation in await operations(api, "get"):
        for name, _ in operation.parameters():
            query: list[tuple[str, Any]] = [*operation.required().items(), (name, "1"), (name, "2")]
            answer = await api.client.get(operation.path, headers=EVERYBODY, params=query)
            assert answer.status_code == 422, operation.path
            assert name in named(answer)


async def test_every_route_asks_for_its_roles(api: Running) -> None:
    service = api.runtime.service
    for route in service.routes.router.routes:
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            allowed = service.routes.roles[method, route.path].roles
            if allowed == ANYONE:
                continue
            path = route.path.replace("{case_id}", case_id())
            nobody = await api.client.request(method, path)
            assert nobody.status_code == 401, path
            assert nobody.headers["www-authenticate"] == "Bearer"
            if allowed == SIGNED_IN:
                continue
            assert {*allowed} <= {*Role}, path
            for role in {*Role} - allowed - {"partner"}:
                answer = await api.client.request(method, path, headers=token("x", role))
                assert answer.status_code == 403, (path, role)
                assert all(one in answer.json()["detail"] for one in allowed)


async def test_an_unknown_case_is_not_found(api: Running) -> None:
    for operation in await operations(api, "get"):
        if "case_id" in dict(operation.parameters("path")):
            assert (await ask(api, operation)).status_code == 404, operation.path


async def test_every_error_is_a_problem_with_its_trace(empty_database: Database, service: Service) -> None:
    async with serving(replace(service, routes=service.routes | BROKEN), empty_database) as api:
        answers = [
            await api.client.get("/nowhere"),
            await api.client.get("/me"),
            await api.client.delete("/health"),
            await api.client.get("/me", headers={"authorization": "Bearer x"}),
            await api.client.get("/me?%00=1", headers=EVERYBODY),
            await api.client.get("/me", headers={"content-length": "x"}),
            await api.client.get("/broken"),
        ]
    assert [answer.status_code for answer in answers] == [404, 401, 405, 401, 422, 413, 500]
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["traceparent"].startswith("00-")
        assert {"type", "title", "status", "detail"} <= answer.json().keys()
        assert answer.json()["status"] == answer.status_code


async def test_a_filter_takes_the_statuses_that_the_service_shows_and_names_them_where_it_refuses_another(
    api: Running, service: Service
) -> None:
    """Dispatch lists assignments, which have statuses of their own."""
    shown = shown_by(service.name)
    lists = [one for one in await operations(api, "get") if "verifying" in str(dict(one.parameters()).get("status"))]
    assert len(lists) >= (service.name != "dispatch")
    for operation in lists:
        for status in get_args(Status):
            answer = await api.client.get(
                operation.path, headers=EVERYBODY, params={**operation.required(), "status": status}
            )
            if status in shown:
                assert answer.status_code == 200, (operation.path, status, answer.text)
            else:
                rule = f"{service.name} does not show {status}; it shows {', '.join(shown)}"
                assert answer.json()["errors"] == [{"field": "status", "rule": rule}], (operation.path, status)


async def test_everybody_is_told_who_they_are(api: Running) -> None:
    me = (await api.client.get("/me", headers=token("li", "dispatcher", areas=("CH/x",), unit="dept:water"))).json()
    assert me == {"subject": "li", "roles": ["dispatcher"], "unit": "dept:water", "areas": ["CH/x"], "source": None}


async def test_the_document_names_the_errors_that_any_request_may_meet(api: Running) -> None:
    for operation in await operations(api, "get", "post", "put", "delete"):
        assert {"401", "413", "422", "429", "500", "503"} <= operation.described["responses"].keys(), operation.path


async def test_the_document_describes_every_field_and_every_parameter_with_examples(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    wanting = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    ]
    for path, found in document["paths"].items():
        for method, operation in found.items():
            wanting += [f"{method} {path}"] if not operation.get("description") else []
            wanting += [
                f"{method} {path} {one['name']}"
                for one in operation.get("parameters", ())
                if not one.get("description")
            ]
    assert wanting == []


SELF_EVIDENT = {"Limit.unit", "Completeness.verdict", "CaseItem.ruling"}
"""What needs no words; of the last, which holds a status, the description names all that a ruling can be."""


def values_of(schema: dict[str, Any]) -> list[str]:
    found = [*schema.get("enum", ())]
    for inner in (*schema.get("anyOf", ()), schema.get("items"), schema.get("propertyNames")):
        found += values_of(inner) if inner else []
    return found


async def test_the_document_explains_every_value_of_an_enumeration(api: Running) -> None:
    """Of the statuses of a case, those that the service shows."""
    document = (await api.client.get("/openapi.json")).json()
    described = [
        (f"{name}.{field}", schema.get("description", ""), values_of(schema))
        for name, model in document["components"]["schemas"].items()
        for field, schema in model.get("properties", {}).items()
    ]
    for operation in await operations(api, "get", "post"):
        described += [
            (f"{operation.path} {one['name']}", one["description"], values_of(one["schema"]))
            for one in operation.described.get("parameters", ())
        ]
    hidden = {*get_args(Status)} - {*shown_by(api.runtime.service.name)}
    wanting = {
        name: [value for value in values if f"`{value}`" not in words and value not in hidden]
        for name, words, values in described
        if name not in SELF_EVIDENT
    }
    assert {name: values for name, values in wanting.items() if values} == {}


async def test_whoever_may_take_an_action_may_ask_which_are_allowed(api: Running) -> None:
    """An operation's prefix up to its id in braces names what it acts on."""
    roles = api.runtime.service.routes.roles
    asked = {
        path.removesuffix("/actions"): access.roles for (_, path), access in roles.items() if path.endswith("/actions")
    }
    assert (asked == {}) == (api.runtime.service.name == "audit")
    for about, may_ask in asked.items():
        takers = [one.roles for (method, path), one in roles.items() if method != "GET" and path.startswith(about)]
        if about == "/cases/{case_id}":  # of dispatch: its assignments' actions
            takers += [
                one.roles for (method, path), one in roles.items() if method != "GET" and "{assignment_id}" in path
            ]
        assert takers
        if api.runtime.service.name == "dispatch":  # a private person urges, and is told nothing of what is urged
            may_ask |= {Role.REPORTER}
        assert frozenset[str]().union(*takers) <= may_ask, about

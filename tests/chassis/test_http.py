"""Commands over HTTP: decided once per idempotency key, refused by name, guarded by role, limited in size and rate."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import APIRouter, Response

from chassis.engine.inbox import Inbox
from chassis.runtime import Runtime, application
from chassis.settings import Settings
from chassis.web.application import Routes
from chassis.web.paging import encode_cursor
from chassis.web.reading import ReaderDep
from chassis.web.roles import ANYONE, Access, Bound
from contracts.reading import Matter
from contracts.roles import STAFF
from tests.support.facts import case_id, fact_record, record_of, report
from tests.support.services import Running, running, token
from tests.support.tally import TALLY

OPERATOR = token("ops", "administrator")
NOTES = ("POST", "/cases/{case_id}/notes")


@pytest.fixture
async def tally(tally_database: str) -> AsyncIterator[Running]:
    async with running(TALLY, tally_database) as found:
        found.client.headers.update(token("li", "acceptor"))
        yield found


@pytest.fixture
async def case(tally: Running) -> str:
    case = case_id()
    await inbox(tally).process([fact_record(case, report())])
    return case


def inbox(tally: Running) -> Inbox:
    return tally.runtime.inbox


async def test_a_command_is_answered_with_its_facts_and_the_version(tally: Running, case: str) -> None:
    answer = await tally.client.post(f"/cases/{case}/notes", json={"text": "seen"})
    assert answer.status_code == 201
    assert answer.json()["notes"] == 2
    assert answer.headers["etag"] == '"3"'
    assert answer.headers["traceparent"].startswith("00-")


async def test_the_trace_of_a_request_goes_on_in_its_facts(tally: Running, case: str) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await tally.client.post(
        f"/cases/{case}/notes", json={"text": "x"}, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )
    row = await tally.runtime.database.fetchrow(
        "SELECT convert_from(body, 'UTF8') AS body FROM events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1", case
    )
    assert row is not None
    event = json.loads(row["body"])
    assert event["traceparent"].split("-")[1] == trace
    assert event["actor"] == "li"


async def test_the_same_key_and_body_give_the_stored_answer_and_another_body_422(tally: Running, case: str) -> None:
    headers = {"idempotency-key": "k1"}
    first = await tally.client.post(f"/cases/{case}/notes", json={"text": "a"}, headers=headers)
    again = await tally.client.post(f"/cases/{case}/notes", json={"text": "a"}, headers=headers)
    other = await tally.client.post(f"/cases/{case}/notes", json={"text": "b"}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert (await tally.client.post(f"/cases/{case}/notes", json={"text": "c"})).json()["notes"] == 3


async def test_a_request_that_was_stored_before_fingerprints_had_a_key_is_known_by_its_own(
    tally: Running, case: str
) -> None:
    path, headers = f"/cases/{case}/notes", {"idempotency-key": "k1"}
    request = tally.client.build_request("POST", path, json={"text": "a"}, headers=headers)
    former = hashlib.sha256(f"POST {path}\n".encode() + request.content).hexdigest()
    row = (
        "INSERT INTO idempotency (caller, key, fingerprint, status, body, version) VALUES ('li', 'k1', $1, 201, $2, 7)"
    )
    await tally.runtime.database.transact(lambda connection: connection.execute(row, former, b'{"stored": true}'))
    again = await tally.client.send(request)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, {"stored": True}, '"7"')
    assert (await tally.client.post(path, json={"text": "b"}, headers=headers)).status_code == 422


async def test_a_stored_answer_keeps_the_version_it_was_given_with(tally: Running, case: str) -> None:
    """Whoever decides by it on a case that others have changed since must hear of that."""
    path, headers = f"/cases/{case}/notes", {"idempotency-key": "k1"}
    first = await tally.client.post(path, json={"text": "a"}, headers=headers)
    await tally.client.post(path, json={"text": "of another"})
    again = await tally.client.post(path, json={"text": "a"}, headers=headers)
    assert (again.headers["etag"], again.content) == (first.headers["etag"], first.content)
    late = await tally.client.post(path, json={"text": "b"}, headers={"if-match": again.headers["etag"]})
    assert late.status_code == 412


async def test_requests_with_one_key_at_the_same_time_take_effect_once(tally: Running, case: str) -> None:
    answers = await asyncio.gather(
        *(
            tally.client.post(f"/cases/{case}/notes", json={"text": "a"}, headers={"idempotency-key": "same"})
            for _ in range(6)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1


async def test_a_refused_command_leaves_its_key_free(tally: Running) -> None:
    case = case_id()
    first = await tally.client.post(f"/cases/{case}/notes", json={"text": "a"}, headers={"idempotency-key": "k"})
    assert first.status_code == 404
    await inbox(tally).process([fact_record(case, report())])
    again = await tally.client.post(f"/cases/{case}/notes", json={"text": "a"}, headers={"idempotency-key": "k"})
    assert again.status_code == 201


async def test_commands_at_the_same_time_all_take_effect_and_a_rule_stops_the_one_too_many(
    tally: Running, case: str
) -> None:
    answers = await asyncio.gather(
        *(tally.client.post(f"/cases/{case}/notes", json={"text": str(n)}) for n in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 201, 409]
    refusal = next(answer for answer in answers if answer.status_code == 409)
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.json()["rule"] == "note.limit"
    assert refusal.json()["type"] == "urn:casegrid:rule:note.limit"


async def test_a_stale_version_is_412_and_a_current_one_passes(tally: Running, case: str) -> None:
    path = f"/cases/{case}/notes"
    assert (await tally.client.post(path, json={"text": "a"}, headers={"if-match": '"2"'})).status_code == 201
    assert (await tally.client.post(path, json={"text": "b"}, headers={"if-match": '"2"'})).status_code == 412
    assert (await tally.client.post(path, json={"text": "b"}, headers={"if-match": "x"})).status_code == 422


async def test_bad_input_names_the_field_and_large_input_is_refused(tally: Running, case: str) -> None:
    bad = await tally.client.post(f"/cases/{case}/notes", content=b"{", headers={"content-type": "application/json"})
    assert bad.status_code == 422
    assert bad.headers["content-type"] == "application/problem+json"
    large = await tally.client.post(f"/cases/{case}/notes", json={"text": "x" * 1_100_000})
    assert large.status_code == 413
    long_fact = await tally.client.post(f"/cases/{case}/notes", json={"text": "x" * 20_001})
    assert long_fact.status_code == 422
    assert "note" in long_fact.json()["detail"]


async def test_a_length_that_is_no_number_of_bytes_is_too_large(tally: Running) -> None:
    for length in ("0" * 5000, "9" * 30, "²", "-1"):
        headers = {name.encode(): value.encode() for name, value in {**OPERATOR, "content-length": length}.items()}
        answer = await tally.client.get("/me", headers=headers)
        assert answer.status_code == 413


async def test_roles_open_routes_and_bad_tokens_are_named(tally: Running) -> None:
    del tally.client.headers["authorization"]
    assert (await tally.client.get("/parked")).status_code == 401
    asked = await tally.client.post(
        "/cases/x/notes", content=b'{"text": ', headers={"content-type": "application/json"}
    )
    assert asked.status_code == 401, "what a stranger sends is not read"
    forbidden = await tally.client.get("/parked", headers=token("zhang", "reporter"))
    assert forbidden.status_code == 403
    assert "administrator" in forbidden.json()["detail"]
    assert (await tally.client.get("/parked", headers=OPERATOR)).status_code == 200
    wrong = await tally.client.get("/parked", headers={"authorization": "Bearer x.y.z"})
    assert wrong.status_code == 401
    assert "token" in wrong.json()["detail"]
    assert (await tally.client.get("/parked", headers={"x-client-key": "guess"})).status_code == 401
    assert (await tally.client.get("/nowhere")).status_code == 404


async def test_who_sends_too_much_is_told_when_to_come_again(tally_database: str) -> None:
    async with running(TALLY, tally_database, CASEGRID_REQUESTS_PER_SECOND=1) as slow:
        answers = [await slow.client.get("/health") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert (answers[-1].json()["rule"], answers[-1].json()["type"]) == (
        "requests.rate",
        "urn:casegrid:rule:requests.rate",
    )


async def test_parked_records_are_listed_shown_retried_and_discarded_over_http(tally: Running, case: str) -> None:
    await inbox(tally).process([record_of(b"not json", case), record_of(b"nor this", case)])
    await inbox(tally).process([fact_record(case_id(), report())])
    listed = (await tally.client.get("/parked", headers=OPERATOR)).json()["items"]
    assert [item["kind"] for item in listed] == ["invalid", "invalid"]
    first = (await tally.client.get("/parked?limit=1", headers=OPERATOR)).json()
    rest = (await tally.client.get(f"/parked?limit=1&cursor={first['next']}", headers=OPERATOR)).json()
    assert [page["items"][0]["parked_id"] for page in (first, rest)] == [1, 2]
    assert rest["next"] is None
    shown = (await tally.client.get("/parked/1", headers=OPERATOR)).json()
    assert shown["body_text"] == "not json"
    why = {"reason": "noise"}
    assert (await tally.client.post("/parked/1/retry", headers=OPERATOR, json=why)).status_code == 409
    for nothing in ({}, {"reason": "  "}, {"reason": "\u200b"}):
        assert (await tally.client.post("/parked/1/discard", headers=OPERATOR, json=nothing)).status_code == 422
    for number in (0, -1, 2**63, 10**50):
        assert (await tally.client.get(f"/parked/{number}", headers=OPERATOR)).status_code == 422
    assert (await tally.client.post("/parked/1/discard", headers=OPERATOR, json=why)).status_code == 200
    left = (await tally.client.get("/parked", headers=OPERATOR)).json()["items"]
    assert [item["parked_id"] for item in left] == [2]
    assert (await tally.client.post("/parked/77/retry", headers=OPERATOR, json=why)).status_code == 404
    for forged in ("%21", "WzEsMl0", *map(encode_cursor, ([], ["1"], [1.5], [-1], [2**63], [True], [None], [[1]]))):
        refused = await tally.client.get(f"/parked?cursor={forged}", headers=OPERATOR)
        assert (refused.status_code, refused.json()["detail"]) == (422, "cursor: is not one this service gave"), forged


async def test_without_a_broker_it_is_alive_and_serves_but_is_not_ready(tally: Running, case: str) -> None:
    health = await tally.client.get("/health")
    ready = await tally.client.get("/ready", headers=OPERATOR)
    assert health.status_code == 200
    assert ready.status_code == 503
    assert ready.headers["retry-after"] == "1"
    assert "consumer" in ready.json()["parts"]
    assert (await tally.client.post(f"/cases/{case}/notes", json={"text": "a"})).status_code == 201


def test_a_route_without_roles_and_roles_without_a_route_do_not_start() -> None:
    """Nobody opens a route by forgetting it or how it is bound, and no entry of the table is misspelt."""
    known: dict[Any, Any] = {**TALLY.routes.roles}
    unbound = dict.fromkeys(known, ANYONE)
    for roles in ({}, unbound, {**known, ("GET", "/caes"): Access(ANYONE, Bound.NOTHING)}):
        service = replace(TALLY, routes=replace(TALLY.routes, roles=roles))
        with pytest.raises(
            RuntimeError, match="routes without a declaration of access, or declarations without a route"
        ):
            application(Runtime(service, Settings()))


CARELESS = APIRouter()


@CARELESS.get("/cases/{case_id}/notes", status_code=200)
async def overlook(case_id: str, _: ReaderDep) -> Response:
    return Response("all of it")


@CARELESS.get("/cases/{case_id}/facts", status_code=200)
async def ask_first(case_id: str, reader: ReaderDep) -> Response:
    await reader.sight(case_id, Matter("CH"), "there is no such case")
    return Response("all of it")


async def test_a_route_about_a_case_answers_nothing_before_it_has_asked_who_may_read(tally_database: str) -> None:
    roles = {("GET", f"/cases/{{case_id}}/{one}"): Access(STAFF, Bound.CASE) for one in ("notes", "facts")}
    service = replace(TALLY, routes=TALLY.routes | Routes(CARELESS, roles, {}))
    async with running(service, tally_database, role="api") as careless:
        for one, status in (("notes", 500), ("facts", 200)):
            answer = await careless.client.get(f"/cases/x/{one}", headers=token("au", "auditor"))
            assert (answer.status_code, "all of it" in answer.text) == (status, status == 200)


@pytest.mark.parametrize("bound", [Bound.LIST, Bound.CASE, Bound.ASSIGNMENT])
def test_a_route_that_is_bound_and_never_asks_by_what_does_not_start(bound: Bound) -> None:
    service = replace(TALLY, routes=replace(TALLY.routes, roles={NOTES: Access(STAFF, bound)}))
    with pytest.raises(RuntimeError, match="bound to what their caller may see, and never ask what that is"):
        application(Runtime(service, Settings()))


async def test_a_parameter_that_the_route_does_not_have_is_refused_and_named(tally: Running) -> None:
    misspelt = await tally.client.get("/parked?satus=waiting&limit=2", headers=OPERATOR)
    assert misspelt.status_code == 422
    assert misspelt.json()["errors"][0]["field"] == "satus"
    assert "status, case_id, limit, cursor" in misspelt.json()["detail"]
    assert (await tally.client.get("/health?x=1")).status_code == 422


async def test_the_docs_page_and_its_assets_come_from_the_process_itself(tally: Running) -> None:
    page = (await tally.client.get("/docs")).text
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []
    assets = re.findall(r"""(?:src|href)=["']\./([^"']+)""", page)
    assert len(assets) == 3
    for asset in assets:
        assert (await tally.client.get(f"/{asset}")).status_code == 200
    assert (await tally.client.get("/openapi.json")).json()["components"]["securitySchemes"].keys() == {
        "token",
        "clientKey",
    }


async def test_a_character_no_text_column_takes_is_bad_input_wherever_it_stands(tally: Running, case: str) -> None:
    in_query = await tally.client.get("/parked?case_id=%00", headers=OPERATOR)
    in_body = await tally.client.post(f"/cases/{case}/notes", json={"text": "nul \0"})
    assert in_query.status_code == 422
    assert "U+0000" in in_query.json()["detail"]
    assert in_body.status_code == 422
    assert "U+0000" in in_body.json()["detail"]


async def test_a_parameter_that_is_none_is_refused_with_those_that_the_route_takes(tally: Running) -> None:
    answer = await tally.client.get("/parked", params={"staus": "waiting"}, headers=OPERATOR)
    assert answer.status_code == 422
    rule = "is not a parameter of /parked, which takes status, case_id, limit, cursor"
    assert answer.json()["errors"] == [{"field": "staus", "rule": rule}]

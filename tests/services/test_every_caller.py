"""Who may call any of the five services: a token and a client key keep rules, and each is named where it is broken."""

import asyncio
import base64
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.runtime import Runtime, application, release
from chassis.service import Service
from chassis.settings import DEVELOPMENT_KEY, Settings
from contracts.actors import KINDS
from contracts.roles import PEOPLE
from contracts.status import SERVICES
from deploy.stack.ports import free
from tests.support.services import NOWHERE, eventually, token
from tests.support.signing import Signer, bearer, claims_of, key_set

OURS = Signer("ours")
LATER = int(time.time()) + 3600

WRONG: list[tuple[str, dict[str, Any]]] = [
    *(
        ("sub", {"sub": value})
        for value in (None, "", " ", "\u3000", "\u200b", "li\0", "li\n", "x" * 201, 7, ["li"], {})
    ),
    *(("sub", {"sub": value}) for value in (" li", "li ", "\ud800", "li\udfff", "li\u202e", "li\u00ad")),
    *(("sub", {"sub": f"li{value}"}) for value in "\u034f\u115f\u2060\u2800\u3164\ufe0f\uffa0\U000e0100\u0007\u2028"),
    *(
        ("sub", {"sub": value})
        for value in ("\uff4c\uff49", "\ufb01", "\u212a", "e\u0301", "\u674e\uf9e1", "\u2460", "a\u00a0b", "x\u00b2")
    ),
    *(
        ("sub", {"sub": value})
        for value in ("partner:water", "Partner:water", "ｐartner：water", "rule:r1", "reporter:5d1f")
    ),
    *(("sub", {"sub": value}) for value in ("/services/intake", "/partners/water", "Reporter", *KINDS, *SERVICES)),
    ("sub", {"sub": "water:li"}),
    *(("unit", {"unit": value}) for value in ("*", "dept:*", "grid:CH/%", "", " ", 7, ["dept:water"], "dept:water\n")),
    *(("unit", {"unit": value}) for value in ("water", "dept:\ud800", "dept:" + "x" * 200, "DEPT:water", True)),
    *(
        ("areas", {"areas": [value]})
        for value in ("*", "CH/*", "CH/%", "", "/", "CH/", "CH//g", "CH/_", 7, None, "\ud800")
    ),
    *(("areas", {"areas": value}) for value in ("CH", None, 7, {"CH": 1}, [["CH"]])),
    *(("roles", {"roles": value}) for value in ("dispatcher", None, 7, [7], [None], [["dispatcher"]], ["\ud800"], {})),
    *(("roles", {"roles": value}) for value in (["partner"], ["dispatcher", "partner"])),
    *(("iss", {"iss": value}) for value in (None, "", "others", 7, ["casegrid-dev"], "casegrid-dev ")),
    *(("aud", {"aud": value}) for value in (None, "", "others", 7, ["others"], [], [7], {"casegrid": 1}, "casegrid ")),
    *(("exp", {"exp": value}) for value in (None, 1, -1, 0, "tomorrow", str(LATER), [LATER], {}, True, 1e17, -1e300)),
    *(("nbf", {"nbf": value}) for value in (LATER, "now", [1], True, {}, -5)),
    *(("iat", {"iat": value}) for value in (LATER, "now", [1], True, {}, -5)),
]
SURROGATE = re.compile(r"\\ud[89a-f]")
MISSING = ("iss", "aud", "sub", "exp")
PAYLOADS = (
    *(
        b"",
        b"x",
        b"[]",
        b"7",
        b"null",
        b'"li"',
        b"\xff",
        b'{"sub": "li", "sub": "wang"}',
        b'{"\\ud800": 1, "\\ud800": 2}',
    ),
    *(b'{"exp": NaN}', b'{"exp": 1e999}', b'{"exp": ' + b"9" * 5000 + b"}", b"[" * 5000, b'{"a":' * 500),
)
CLIENT_KEYS = (b"", b" ", b"x" * 201, b"x" * 100_000, "schlüssel".encode(), b"\xff\xfe", b"a b", b"\x00", b"guess")


@pytest.fixture
async def client(service: Service, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of each service in turn, of which nothing but its API runs; the partner water is registered."""
    (tmp_path / "keys.json").write_text(key_set(OURS))
    partner = {"id": "water", "name": "Water", "units": ["dept:water"], "says": ["reports"]}
    (tmp_path / "partners.json").write_text(json.dumps({"partners": [partner]}))
    settings = {
        "CASEGRID_JWKS": str(tmp_path / "keys.json"),
        "CASEGRID_PARTNERS": tmp_path / "partners.json",
        "CASEGRID_FAILURES_PER_MINUTE": 100_000,
    }
    app = application(Runtime(service, Settings.model_validate(settings)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as found:
        assert (await found.get("/me", headers={"x-client-key": "x"})).status_code == 401, "the register is read"
        yield found


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    return answer.json()["detail"]


async def test_a_claim_that_breaks_a_rule_is_401_and_named(client: httpx.AsyncClient) -> None:
    for name, change in WRONG:
        words = refused(await client.get("/me", headers=OURS.headers(**change)))
        told = "its claims: is not JSON" if SURROGATE.search(repr(change)) else f"claim {name}"
        assert words.startswith(f"the token is not valid: {told}"), (change, words)
    for name in MISSING:
        claims = {key: value for key, value in claims_of().items() if key != name}
        assert f"claim {name}: is required" in refused(await client.get("/me", headers=bearer(OURS.token(claims))))


async def test_a_token_whose_claims_are_no_json_object_is_401(client: httpx.AsyncClient) -> None:
    for payload in PAYLOADS:
        refused(await client.get("/me", headers=bearer(OURS.signed(payload))))


@pytest.mark.parametrize("role", PEOPLE)
async def test_a_subject_comes_through_whole_in_every_role(client: httpx.AsyncClient, role: str) -> None:
    for subject in ("li", "李娜", "a|b@city.example", "person:test", "x" * 200, "operator:he"):
        claims = {"sub": subject, "roles": [role], "unit": "dept:water", "areas": ["CH", "CH/a/b/c/d"]}
        answer = await client.get("/me", headers=OURS.headers(**claims))
        assert answer.status_code == 200, answer.text
        me = answer.json()
        assert (me["unit"], me["areas"]) == ("dept:water", ["CH", "CH/a/b/c/d"])
        assert me["subject"] == subject or (role == "reporter" and me["subject"].startswith("reporter:"))


async def test_clocks_may_differ_by_half_a_minute(client: httpx.AsyncClient) -> None:
    now = time.time()
    for claims in ({"nbf": now + 20}, {"iat": now + 20.5}, {"exp": now - 20}, {"nbf": 0, "iat": 0}):
        assert (await client.get("/me", headers=OURS.headers(**claims))).status_code == 200, claims


async def test_a_client_key_that_can_be_none_is_401(client: httpx.AsyncClient) -> None:
    for key in CLIENT_KEYS:
        assert "X-Client-Key" in refused(await client.get("/me", headers={b"x-client-key": key}))


async def test_credentials_that_are_given_twice_or_in_two_kinds_are_401(client: httpx.AsyncClient) -> None:
    token_header = ("authorization", OURS.headers()["authorization"])
    for headers in (
        [token_header, token_header],
        [("x-client-key", "a"), ("x-client-key", "b")],
        [token_header, ("x-client-key", "a")],
    ):
        refused(await client.get("/me", headers=headers))


async def test_a_token_that_is_none_is_401(client: httpx.AsyncClient) -> None:
    for value in (b"", b"Bearer", b"Bearer ", b"Basic bGk6", b"Bearer \xff.\xff.\xff", b"Bearer " + b"x" * 9000):
        refused(await client.get("/me", headers={b"authorization": value}))
    refused(await client.get("/me", headers=token("li", "dispatcher")))
    assert DEVELOPMENT_KEY not in (await client.get("/openapi.json")).text


SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


async def test_every_answer_has_the_security_headers_and_is_kept_by_nobody(client: httpx.AsyncClient) -> None:
    """Errors, too; the page of the API, with what it loads, and nothing else may be kept, if it is asked for anew."""
    right = OURS.headers()
    answers = {
        200: [await client.get("/health"), await client.get("/me", headers=right), await client.get("/openapi.json")],
        401: [await client.get("/me"), await client.get("/me", headers=bearer("x.y.z"))],
        404: [await client.get("/nowhere"), await client.get("/nowhere", headers=right)],
        405: [await client.delete("/me", headers=right)],
        413: [await client.get("/me", headers={"content-length": "x"})],
        422: [await client.get("/me?x=1", headers=right), await client.get("/me?%00", headers=right)],
        503: [await client.get("/ready")],
    }
    for status, found in answers.items():
        for answer in found:
            assert answer.status_code == status, answer.text
            assert SECURITY.items() <= dict(answer.headers).items()
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["cache-control"] == "no-store"
            assert "server" not in answer.headers
            assert len(answer.headers.get_list("cache-control")) == 1


async def test_the_page_of_the_api_loads_its_own_files_and_its_own_script_only(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert SECURITY.items() <= dict(page.headers).items()
    assert len(page.headers.get_list("content-security-policy")) == 1
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    [script] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["connect-src"] == "'self'"
    assets = re.findall(r"""(?:src|href)=["']\./([^"']+)""", page.text)
    assert len(assets) == 3
    for asset in assets:
        answer = await client.get(f"/{asset}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert SECURITY.items() <= dict(answer.headers).items()
        again = await client.get(f"/{asset}", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


@asynccontextmanager
async def process_of(name: str, district: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a process of that service; no database and no broker is there."""
    port = free()
    nowhere = {"DATABASE_URL": f"postgresql://x@{NOWHERE}/x", "KAFKA_BOOTSTRAP_SERVERS": NOWHERE}
    environment = {**os.environ, **nowhere, "PORT": str(port), "CASEGRID_DISTRICT": str(district), **settings}
    command = (sys.executable, "-m", f"services.{name}")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, seconds=60, every=0.2, what="an answer")
            yield client
    finally:
        process.kill()
        await process.wait()


async def guesses(client: httpx.AsyncClient, *addresses: str) -> list[int]:
    """What wrong tokens are answered that come from these addresses, as a header says."""
    wrong = [{**bearer("x.y.z"), "x-forwarded-for": address} for address in addresses]
    return [(await client.get("/me", headers=headers)).status_code for headers in wrong]


@pytest.mark.parametrize("name", SERVICES)
async def test_a_process_names_neither_its_server_nor_a_version_and_believes_no_address(
    name: str, district_folder: Path
) -> None:
    async with process_of(name, district_folder, CASEGRID_FAILURES_PER_MINUTE="2") as client:
        for path in ("/health", "/ready", "/nowhere", "/me", "/docs"):
            answer = await client.get(path)
            assert SECURITY.items() <= dict(answer.headers).items()
            assert not {"server", "x-powered-by"} & answer.headers.keys()
            assert "uvicorn" not in str(answer.headers).lower()
            if path != "/docs":
                assert release() not in answer.text
        assert await guesses(client, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [401, 401, 429]


async def test_a_proxy_that_the_operator_names_is_believed_as_far_as_it_names_addresses(district_folder: Path) -> None:
    settings = {"CASEGRID_FAILURES_PER_MINUTE": "2", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    async with process_of("intake", district_folder, **settings) as client:
        assert await guesses(client, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [401, 401, 401]
        assert await guesses(client, "192.0.2.1", "192.0.2.1") == [401, 429]
        assert await guesses(client, "one", "another", "a third one") == [401, 401, 429], "they are all one"


TOLD = {"administrator", "auditor", "dispatcher", "shift_leader"}


async def test_only_those_who_run_it_learn_how_its_parts_are(client: httpx.AsyncClient) -> None:
    await client.get("/ready", headers=OURS.headers(roles=["administrator"]))  # reads the keys: all are told of none
    strangers = [{}, *(OURS.headers(roles=[role]) for role in PEOPLE if role not in TOLD), OURS.headers(roles=[])]
    for headers in strangers:
        health, ready = await client.get("/health", headers=headers), await client.get("/ready", headers=headers)
        assert (health.status_code, health.json()) == (200, {"alive": True})
        assert ready.status_code == 503
        assert ready.headers["retry-after"] == "1"
        assert ready.json() == {
            "type": "about:blank",
            "title": "Not ready",
            "status": 503,
            "detail": "the service is not ready",
        }
    for role in TOLD:
        headers = OURS.headers(roles=[role])
        assert {"service", "version", "consumer"} <= (await client.get("/health", headers=headers)).json().keys()
        assert "database" in (await client.get("/ready", headers=headers)).json()["parts"]

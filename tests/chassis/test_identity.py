"""Tokens by a key set: a token that it does not vouch for is the caller's fault, a key set that is not there is not."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chassis.runtime import Runtime, application
from chassis.settings import DEVELOPMENT_KEY, Settings
from chassis.web.application import Routes
from chassis.web.roles import SIGNED_IN, Access, Bound
from tests.support.services import NOWHERE, eventually, running, token
from tests.support.signing import Signer, bearer, claims_of, key_set, serving_keys
from tests.support.tally import TALLY

OURS = Signer("ours")
KEY_SET = key_set(OURS)
OCT = {"kty": "oct", "alg": "HS256", "kid": "ours", "k": "YSBrZXkgb2YgdGhlIHRlc3Rz" * 2}
RSA = generate_private_key(65537, 1024)
BITCOINS = generate_ec_key(SECP256K1())
"""Of a curve that no key of tokens needs."""
UNUSABLE = [
    *("", "no JSON", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "oct"}]}', '{"keys": 7}', '{"keys": [7, null]}'),
    json.dumps({"keys": [OCT]}),
    json.dumps({"keys": [{**OURS.public, "d": "AAAA"}]}),
    json.dumps({"keys": [{**OURS.public, "use": "enc"}]}),
    json.dumps({"keys": [{**OURS.public, "kid": ["ours"]}]}),
    json.dumps({"keys": [{**OURS.public, "alg": "HS256"}]}),
    json.dumps({"keys": [{**OURS.public, "alg": "none"}]}),
    json.dumps({"keys": [{**ECAlgorithm.to_jwk(BITCOINS.public_key(), as_dict=True), "kid": "ours"}]}),
    json.dumps({"keys": [{**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "ours"}]}),
]


@asynccontextmanager
async def calling(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service under these settings; nothing else of the service runs."""
    app = application(Runtime(TALLY, Settings.model_validate(settings)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tally") as client:
        yield client


async def asked(headers: dict[str, str], **settings: Any) -> httpx.Response:
    """What `/me` answers under these settings."""
    async with calling(**settings) as client:
        return await client.get("/me", headers=headers)


def assert_not_ready(answer: httpx.Response, log: pytest.LogCaptureFixture, *words: str) -> None:
    """The caller learns that it is not their fault; the log has the words."""
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert "cannot be" in answer.json()["cause"]
    assert all(word in log.text and word not in answer.text for word in words), log.text


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


async def test_a_token_signed_by_a_key_of_the_set_says_who_calls(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(KEY_SET)
    with serving_keys(KEY_SET) as server:
        for where in (server.url, str(file)):
            answer = await asked(OURS.headers(), CASEGRID_JWKS=where)
            assert (answer.status_code, answer.json().get("subject")) == (200, "li")


EC, LONG_RSA = generate_ec_key(SECP256R1()), generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("algorithm", "key", "public"),
    [
        ("ES256", EC, ECAlgorithm.to_jwk(EC.public_key(), as_dict=True)),
        ("RS256", LONG_RSA, RSAAlgorithm.to_jwk(LONG_RSA.public_key(), as_dict=True)),
        ("PS384", LONG_RSA, {**RSAAlgorithm.to_jwk(LONG_RSA.public_key(), as_dict=True), "alg": "PS384"}),
    ],
)
async def test_a_key_of_a_set_is_for_one_algorithm(tmp_path: Path, algorithm: str, key: Any, public: Any) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [{**public, "kid": "theirs"}]}))
    signed = jwt.encode(claims_of(), key, algorithm, headers={"kid": "theirs"})
    assert (await asked(bearer(signed), CASEGRID_JWKS=str(file))).status_code == 200
    if algorithm != "ES256":
        other = jwt.encode(claims_of(), key, "RS512", headers={"kid": "theirs"})
        assert (await asked(bearer(other), CASEGRID_JWKS=str(file))).status_code == 401


PEM = OURS.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "headers",
    [
        Signer("another").headers(),
        Signer("ours").headers(),
        OURS.headers(exp=1),
        OURS.headers(aud="others"),
        {"authorization": "Bearer x.y.z"},
        {"authorization": OURS.headers()["authorization"][:-2]},
        token("li", "dispatcher"),
        bearer(jwt.encode(claims_of(), DEVELOPMENT_KEY, "HS256", headers={"kid": "ours"})),
        bearer(jwt.encode(claims_of(), jwt.PyJWK.from_dict(OCT).key, "HS256", headers={"kid": "ours"})),
        bearer(unsigned({"alg": "none", "kid": "ours"}, claims_of())),
        bearer(unsigned({"alg": "None", "kid": "ours"}, claims_of(), b"x")),
        bearer(unsigned({"alg": "EdDSA", "kid": ["ours"]}, claims_of(), b"x")),
        bearer(unsigned({"alg": "EdDSA", "kid": "ours", "jwk": OURS.public}, claims_of(), b"x" * 64)),
        bearer(unsigned({"alg": "ES256", "kid": "ours"}, claims_of(), b"x" * 64)),
        bearer(unsigned({"kid": "\ud800", "alg": "EdDSA"}, claims_of(), b"x" * 64)),
    ],
)
async def test_a_token_that_the_key_set_does_not_vouch_for_is_401(tmp_path: Path, headers: dict[str, str]) -> None:
    file = tmp_path / "keys.json"
    file.write_text(KEY_SET)
    with serving_keys(KEY_SET) as server:
        for where in (server.url, str(file)):
            answer = await asked(headers, CASEGRID_JWKS=where)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "the token is not valid" in answer.json()["detail"]


async def test_a_public_key_is_no_shared_secret() -> None:
    """Whoever signs with the published key, as if it were a shared one, is refused: each key has one algorithm."""
    header, claims, _ = unsigned({"alg": "HS256", "kid": "ours"}, claims_of()).split(".")
    for secret in (PEM, json.dumps(OURS.public).encode()):
        signature = hmac.new(secret, f"{header}.{claims}".encode(), hashlib.sha256).digest()
        forged = f"{header}.{claims}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
        with serving_keys(KEY_SET) as server:
            assert (await asked(bearer(forged), CASEGRID_JWKS=server.url)).status_code == 401


async def test_a_key_set_that_cannot_be_had_is_503_and_not_the_fault_of_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing, url = str(tmp_path / "keys.json"), f"http://{NOWHERE}/keys"
    assert_not_ready(await asked(OURS.headers(), CASEGRID_JWKS=missing), caplog, missing, "No such file")
    assert_not_ready(await asked(OURS.headers(), CASEGRID_JWKS=url), caplog, url, "Connect call failed")
    with serving_keys(KEY_SET, status=500) as failing:
        answer = await asked(OURS.headers(), CASEGRID_JWKS=failing.url)
        assert_not_ready(answer, caplog, failing.url, "the server answers 500")


@pytest.mark.parametrize("content", UNUSABLE)
async def test_a_key_set_without_a_usable_key_is_503(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    assert_not_ready(await asked(OURS.headers(), CASEGRID_JWKS=str(file)), caplog, str(file))
    with serving_keys(content) as server:
        assert_not_ready(await asked(OURS.headers(), CASEGRID_JWKS=server.url), caplog, server.url)


async def test_one_unusable_key_of_a_set_does_not_hinder_the_others(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    odd = [7, OCT, {"kty": "EC"}, {"kty": "XX"}, {**OURS.public, "alg": "none"}, {**OURS.public, "kid": []}]
    file.write_text(json.dumps({"keys": [*odd, OURS.public]}))
    assert (await asked(OURS.headers(), CASEGRID_JWKS=str(file))).status_code == 200
    forged = jwt.encode(claims_of(), jwt.PyJWK.from_dict(OCT).key, "HS256", headers={"kid": "ours"})
    assert (await asked(bearer(forged), CASEGRID_JWKS=str(file))).status_code == 401


async def test_a_client_key_is_503_while_nothing_is_known_of_who_is_registered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "partners.json"
    file.write_text("no JSON")
    assert_not_ready(await asked({"x-client-key": "secret"}, CASEGRID_PARTNERS=file), caplog, str(file))


async def test_without_credentials_no_key_set_is_asked_for(tmp_path: Path) -> None:
    assert (await asked({}, CASEGRID_JWKS=str(tmp_path / "keys.json"))).status_code == 401


@pytest.mark.parametrize("kind", ["file", "server"])
async def test_a_new_key_is_taken_and_a_removed_one_is_not_any_more_without_a_restart(
    tmp_path: Path, kind: str
) -> None:
    new, file = Signer("new"), tmp_path / "keys.json"
    file.write_text(KEY_SET)
    with serving_keys(KEY_SET) as server:
        where = server.url if kind == "server" else str(file)
        async with calling(CASEGRID_JWKS=where, CASEGRID_JWKS_SECONDS=0.2) as client:

            async def status(signer: Signer) -> int:
                return (await client.get("/me", headers=signer.headers())).status_code

            async def is_taken(signer: Signer, expected: int) -> bool:
                return await status(signer) == expected

            def serve(*signers: Signer) -> None:
                server.body = key_set(*signers)
                file.write_text(server.body)

            assert (await status(OURS), await status(new)) == (200, 401)
            serve(OURS, new)
            await eventually(lambda: is_taken(new, 200), what="the new key")
            assert await status(OURS) == 200
            serve(new)
            await eventually(lambda: is_taken(OURS, 401), what="the end of the removed key")
            assert await status(new) == 200


async def test_a_removed_key_ends_what_was_verified_by_it_before(tmp_path: Path) -> None:
    """The same token, which was remembered as valid."""
    new, file = Signer("new"), tmp_path / "keys.json"
    file.write_text(KEY_SET)
    headers = OURS.headers()
    async with calling(CASEGRID_JWKS=str(file), CASEGRID_JWKS_SECONDS=0.1) as client:
        assert [(await client.get("/me", headers=headers)).status_code for _ in range(2)] == [200, 200]
        file.write_text(key_set(new))

        async def ended() -> bool:
            return (await client.get("/me", headers=headers)).status_code == 401

        await eventually(ended, what="the end of the token")


async def test_a_process_forgets_a_removed_key_though_nobody_calls_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(KEY_SET)
    runtime = Runtime(TALLY, Settings.model_validate({"CASEGRID_JWKS": str(file), "CASEGRID_JWKS_SECONDS": 0.05}))
    task = asyncio.create_task(runtime.keys.run())
    try:

        async def read(version: int) -> bool:
            return runtime.keys.version == version

        await eventually(lambda: read(1))
        file.write_text(key_set(Signer("new")))
        await eventually(lambda: read(2))
    finally:
        task.cancel()


async def test_a_new_version_of_a_key_under_the_same_id_counts(tmp_path: Path) -> None:
    file, again = tmp_path / "keys.json", Signer("ours")
    file.write_text(KEY_SET)
    async with calling(CASEGRID_JWKS=str(file), CASEGRID_JWKS_SECONDS=0.1) as client:
        assert (await client.get("/me", headers=OURS.headers())).status_code == 200
        file.write_text(key_set(again))

        async def taken() -> bool:
            return (await client.get("/me", headers=again.headers())).status_code == 200

        await eventually(taken)
        assert (await client.get("/me", headers=OURS.headers())).status_code == 401


@pytest.mark.parametrize("outage", ["hangs", "fails", "breaks"])
async def test_while_the_server_of_the_key_set_is_out_the_keys_before_serve_at_once(outage: str) -> None:
    with serving_keys(KEY_SET) as server:
        async with calling(CASEGRID_JWKS=server.url, CASEGRID_JWKS_SECONDS=0.1) as client:
            assert (await client.get("/me", headers=OURS.headers())).status_code == 200
            server.hangs, server.status = outage == "hangs", 500 if outage == "fails" else 200
            server.body = "{" if outage == "breaks" else KEY_SET
            before = server.asked

            async def asked_again() -> bool:
                began = time.monotonic()
                answer = await client.get("/me", headers=OURS.headers())
                assert answer.status_code == 200
                assert time.monotonic() - began < 1, "the caller waited for the server"
                return server.asked > before

            await eventually(asked_again, what="another try")
            assert (await client.get("/me", headers=OURS.headers())).status_code == 200


async def test_it_shows_that_the_keys_of_before_serve(tally_database: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(KEY_SET)
    headers, stranger = OURS.headers(roles=["administrator"]), OURS.headers(roles=["handling_unit"])
    async with running(TALLY, tally_database, role="api", CASEGRID_JWKS=str(file), CASEGRID_JWKS_SECONDS=0.1) as tally:

        async def shown(path: str, who: dict[str, str] = headers) -> Any:
            answer = await tally.client.get(path, headers=who)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert await shown("/ready") == {"ready": True}
        assert (await shown("/health"))["keys"]["stale"] is None
        file.unlink()

        async def stale() -> bool:
            return (await shown("/health"))["keys"]["stale"] is not None

        await eventually(stale, what="a look at the file")
        words = "the key set cannot be used: FileNotFoundError; the log has the details; the keys before it serve"
        assert (await shown("/ready")) == {"ready": True, "warnings": {"keys": words}}
        assert (await shown("/health"))["keys"] == {"fault": None, "stale": words, "version": 1}
        assert await shown("/ready", stranger) == {"ready": True}
        file.write_text(KEY_SET)

        async def fresh() -> bool:
            return await shown("/ready") == {"ready": True}

        await eventually(fresh, what="another look at the file")


async def test_the_keys_before_serve_for_a_stated_time_only() -> None:
    with serving_keys(KEY_SET) as server:
        settings = {"CASEGRID_JWKS_SECONDS": 0.1, "CASEGRID_JWKS_STALE_SECONDS": 0.5}
        async with calling(CASEGRID_JWKS=server.url, **settings) as client:
            headers = OURS.headers()
            assert (await client.get("/me", headers=headers)).status_code == 200
            server.status = 500

            async def over() -> bool:
                return (await client.get("/me", headers=headers)).status_code == 503

            await eventually(over, what="the end of the stale keys")
            server.status = 200

            async def back() -> bool:
                return (await client.get("/me", headers=headers)).status_code == 200

            await eventually(back, what="the return of the keys")


async def test_a_server_that_hangs_holds_up_nobody_else_and_is_asked_by_one_at_a_time() -> None:
    """Callers who need the keys share one attempt and get 503; all other requests pass meanwhile."""
    with serving_keys(KEY_SET) as server:
        server.hangs = True
        async with calling(CASEGRID_JWKS=server.url) as client:
            threads = threading.active_count()
            waiting = [asyncio.create_task(client.get("/me", headers=OURS.headers())) for _ in range(50)]

            async def begun() -> bool:
                return server.asked == 1

            await eventually(begun)
            began = time.monotonic()
            answers = [await client.get("/me"), await client.get("/health"), await client.get("/openapi.json")]
            assert [answer.status_code for answer in answers] == [401, 200, 200]
            assert time.monotonic() - began < 3
            assert threading.active_count() <= threads + 2, "a thread for each caller"
            refused = await asyncio.gather(*waiting)
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            assert server.asked == 1


async def test_unknown_key_ids_make_the_set_be_read_once_in_a_stated_time() -> None:
    with serving_keys(KEY_SET) as server:
        async with calling(CASEGRID_JWKS=server.url, CASEGRID_FAILURES_PER_MINUTE=1000) as client:
            assert (await client.get("/me", headers=OURS.headers())).status_code == 200
            for number in range(100):
                answer = await client.get("/me", headers=Signer(f"guess {number}").headers())
                assert answer.status_code == 401
            assert server.asked == 1


async def test_a_failing_server_is_not_asked_by_every_caller() -> None:
    with serving_keys(KEY_SET, status=500) as server:
        async with calling(CASEGRID_JWKS=server.url) as client:
            for _ in range(20):
                assert (await client.get("/me", headers=OURS.headers())).status_code == 503
            assert server.asked <= 2


async def test_wrong_credentials_are_throttled_and_callers_who_were_right_before_are_not() -> None:
    async with calling(CASEGRID_FAILURES_PER_MINUTE=5) as client:
        right = token("li", "dispatcher")
        assert (await client.get("/me", headers=right)).status_code == 200
        wrong = [await client.get("/me", headers=bearer(f"x.y.{number}")) for number in range(10)]
        assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 5
        assert int(wrong[-1].headers["retry-after"]) >= 1
        assert (await client.get("/me", headers={"x-client-key": "guess"})).status_code == 429
        assert (await client.get("/me", headers=right)).status_code == 200
        assert (await client.get("/me", headers=token("wang", "dispatcher"))).status_code == 429, "not seen before"
        assert (await client.get("/health")).status_code == 200, "without credentials nothing is tried"


async def test_expired_tokens_do_not_keep_others_at_their_address_from_signing_in() -> None:
    """An office whose pages were left open over night."""
    async with calling(CASEGRID_FAILURES_PER_MINUTE=5) as client:
        for number in range(10):
            old = token(f"person:{number}", "dispatcher", expires_in=-60)
            assert (await client.get("/me", headers=old)).status_code == 401
        assert (await client.get("/me", headers=token("li", "dispatcher"))).status_code == 200


async def test_another_address_is_not_throttled_and_one_customers_network_is_one_address() -> None:
    app = application(Runtime(TALLY, Settings.model_validate({"CASEGRID_FAILURES_PER_MINUTE": 3})))

    async def from_address(address: str) -> list[int]:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://tally") as client:
            return [(await client.get("/me", headers=bearer("x.y.z"))).status_code for _ in range(4)]

    assert await from_address("192.0.2.1") == [401, 401, 401, 429]
    assert await from_address("192.0.2.2") == [401, 401, 401, 429]
    assert await from_address("2001:db8:1::1") == [401, 401, 401, 429]
    assert await from_address("2001:db8:1::2") == [429] * 4
    assert await from_address("2001:db8:2::1") == [401, 401, 401, 429]


async def test_a_remembered_token_ends_when_it_expires() -> None:
    """With the leeway of 30 seconds that an issuer's clock has."""
    headers = token("li", "dispatcher", expires_in=-30 + 2)
    async with calling() as client:
        assert (await client.get("/me", headers=headers)).status_code == 200

        async def ended() -> bool:
            return (await client.get("/me", headers=headers)).status_code == 401

        await eventually(ended, seconds=10, what="the end of the token")


endless_router = APIRouter()


@endless_router.get("/endless")
async def get_endless() -> StreamingResponse:
    async def messages() -> AsyncIterator[bytes]:
        yield b": heartbeat\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(messages(), media_type="text/event-stream")


ENDLESS = Routes(endless_router, {("GET", "/endless"): Access(SIGNED_IN, Bound.NOTHING)}, {})


async def test_a_stream_ends_with_the_token_that_it_was_asked_for_with() -> None:
    """In order, so that the client connects again and is told that its token has expired."""
    service = replace(TALLY, routes=TALLY.routes | ENDLESS)
    app = application(Runtime(service, Settings()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tally") as client:
        headers = token("li", "dispatcher", expires_in=-30 + 1)
        began = time.monotonic()
        answer = await asyncio.wait_for(client.get("/endless", headers=headers), 10)
        assert time.monotonic() - began < 5
        assert (answer.status_code, answer.text[:12]) == (200, ": heartbeat\n")
        assert answer.text.endswith("\n\n: the token has expired\n\n")
        assert (await client.get("/endless", headers=headers)).status_code == 401

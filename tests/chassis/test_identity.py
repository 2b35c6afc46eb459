"""Tokens by a key set: a token that it does not vouch for is the caller's fault, a key set that is not there is not."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest

from chassis.runtime import Runtime, application
from chassis.settings import Settings
from chassis.web.identity import AUDIENCE
from tests.support.services import NOWHERE
from tests.support.tally import TALLY

OURS = {"kty": "oct", "alg": "HS256", "kid": "ours", "k": "YSBrZXkgb2YgdGhlIHRlc3Rz" * 2}
KEY = jwt.PyJWK.from_dict(OURS)
KEY_SET = json.dumps({"keys": [OURS]})
UNUSABLE = ["", "no JSON", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "oct"}]}', '{"keys": 7}']


def signed(kid: str = "ours", **more: Any) -> dict[str, str]:
    claims = {"sub": "li", "roles": ["dispatcher"], "aud": AUDIENCE, "exp": int(time.time()) + 60, **more}
    return {"authorization": "Bearer " + jwt.encode(claims, KEY.key, "HS256", headers={"kid": kid})}


@contextmanager
def served(body: str, status: int = 200) -> Iterator[str]:
    """The URL where that is served."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def asked(headers: dict[str, str], **settings: Any) -> httpx.Response:
    """What `/me` answers under these settings; nothing else of the service runs."""
    app = application(Runtime(TALLY, Settings.model_validate(settings)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tally") as client:
        return await client.get("/me", headers=headers)


def assert_not_ready(answer: httpx.Response, log: pytest.LogCaptureFixture, *words: str) -> None:
    """The caller learns that it is not their fault; the log has the words."""
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert "cannot be" in answer.json()["cause"]
    assert all(word in log.text and word not in answer.text for word in words), log.text


async def test_a_token_signed_by_a_key_of_the_set_says_who_calls(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(KEY_SET)
    with served(KEY_SET) as url:
        for where in (url, str(file)):
            answer = await asked(signed(), CASEGRID_JWKS=where)
            assert (answer.status_code, answer.json().get("subject")) == (200, "li")


@pytest.mark.parametrize(
    "headers",
    [
        signed("another"),
        signed(exp=1),
        signed(aud="others"),
        {"authorization": "Bearer x.y.z"},
        {"authorization": signed()["authorization"][:-2]},
    ],
)
async def test_a_token_that_the_key_set_does_not_vouch_for_is_401(tmp_path: Path, headers: dict[str, str]) -> None:
    file = tmp_path / "keys.json"
    file.write_text(KEY_SET)
    with served(KEY_SET) as url:
        for where in (url, str(file)):
            answer = await asked(headers, CASEGRID_JWKS=where)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "the token is not valid" in answer.json()["detail"]


async def test_a_key_set_that_cannot_be_had_is_503_and_not_the_fault_of_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing, url = str(tmp_path / "keys.json"), f"http://{NOWHERE}/keys"
    assert_not_ready(await asked(signed(), CASEGRID_JWKS=missing), caplog, missing, "No such file")
    assert_not_ready(await asked(signed(), CASEGRID_JWKS=url), caplog, url, "refused")
    with served(KEY_SET, status=500) as failing:
        assert_not_ready(await asked(signed(), CASEGRID_JWKS=failing), caplog, failing, "Error 500")


@pytest.mark.parametrize("content", UNUSABLE)
async def test_a_key_set_without_a_usable_key_is_503(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    assert_not_ready(await asked(signed(), CASEGRID_JWKS=str(file)), caplog, str(file))
    with served(content) as url:
        assert_not_ready(await asked(signed(), CASEGRID_JWKS=url), caplog, url)


async def test_a_client_key_is_503_while_nothing_is_known_of_who_is_registered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "partners.json"
    file.write_text("no JSON")
    assert_not_ready(await asked({"x-client-key": "secret"}, CASEGRID_PARTNERS=file), caplog, str(file))


async def test_without_credentials_no_key_set_is_asked_for(tmp_path: Path) -> None:
    assert (await asked({}, CASEGRID_JWKS=str(tmp_path / "keys.json"))).status_code == 401

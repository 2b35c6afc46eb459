"""Keys that tests sign tokens with, and the key sets that vouch for them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from chassis.settings import AUDIENCE, ISSUER


class Signer:
    """A private key with its id."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> dict[str, Any]:
        """The key as a key set holds it."""
        known = OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**known, "kid": self.kid, "use": "sig", "alg": "EdDSA"}

    def headers(self, **claims: Any) -> dict[str, str]:
        """Headers with a token of these claims; without others that of the dispatcher li."""
        return bearer(self.token(claims_of(**claims)))

    def token(self, claims: Mapping[str, Any]) -> str:
        """The token of these claims and no others, whatever they are."""
        return self.signed(json.dumps(claims).encode())

    def signed(self, payload: bytes) -> str:
        """The token of a payload, which need not be JSON."""
        return jwt.PyJWS().encode(payload, self.key, "EdDSA", headers={"kid": self.kid})


def claims_of(**more: Any) -> dict[str, Any]:
    """The claims of a dispatcher's token, with these changes."""
    known = {"iss": ISSUER, "aud": AUDIENCE, "sub": "li", "roles": ["dispatcher"], "exp": int(time.time()) + 60}
    return {**known, **more}


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {token}"}


def key_set(*signers: Signer) -> str:
    """The JSON of a set."""
    return json.dumps({"keys": [one.public for one in signers]})


class KeyServer:
    """What serves a key set, and how often it was asked."""

    def __init__(self, body: str, status: int = 200) -> None:
        self.body = body
        self.status = status
        self.hangs = False
        self.asked = 0
        self.url = ""
        self.over = Event()
        """Ends what hangs."""


@contextmanager
def serving_keys(body: str, status: int = 200) -> Iterator[KeyServer]:
    """A server of this key set on a port of its own."""
    known = KeyServer(body, status)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked += 1
            if known.hangs:
                known.over.wait()
                return
            self.send_response(known.status)
            self.end_headers()
            self.wfile.write(known.body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    known.url = f"http://127.0.0.1:{server.server_port}/keys"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield known
    finally:
        known.over.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""A client of HTTP/1.1 that costs little beside what it measures: one connection, one request at a time, JSON."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from deploy.stack.problem import Problem

_TRIES = 60
_LATER = (429, 503)


@dataclass(frozen=True)
class Answer:
    """`retry_after`: seconds, where the answer names them."""

    status: int
    body: bytes
    retry_after: float | None = None


class Client:
    """Use as an async context manager. The server must answer with a Content-Length."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.retried = 0
        """Requests that were answered with 429 or 503 and asked again."""

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    async def post(self, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """The JSON of the answer. 429 and 503 are asked again after what Retry-After says. Raises `Problem`."""
        for _ in range(_TRIES):
            answer = await self.request("POST", path, orjson.dumps(body), headers)
            if answer.status in _LATER and answer.retry_after is not None:
                self.retried += 1
                await asyncio.sleep(answer.retry_after)
            elif answer.status >= 300:
                raise Problem(f"POST {path} was answered with {answer.status}: {answer.body[:300].decode()}")
            else:
                return orjson.loads(answer.body)
        raise Problem(f"POST {path} was put off {_TRIES} times")

    async def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One request and its answer, whatever its status. Raises `OSError` and `asyncio.IncompleteReadError`."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        received = await self._reader.readexactly(int(fields.get("content-length", "0")))
        later = fields.get("retry-after")
        return Answer(int(head[0].split()[1]), received, float(later) if later else None)

"""A client of HTTP/1.1 that costs little beside what it measures: one connection, one request at a time, JSON."""

import asyncio
import time
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

    def __init__(self, url: str, answers: list[tuple[float, float]] | None = None) -> None:
        """`answers` is given (when, after how many seconds) of each answer that was not put off."""
        parts = urlsplit(url)
        self._answers = answers
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.retried = 0
        """Requests that were answered with 429 or 503 and asked again."""

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def post(self, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """The JSON of the answer. 429 and 503 are asked again after what Retry-After says. Raises `Problem`."""
        return await self._answered("POST", path, orjson.dumps(body), headers)

    async def get(self, path: str, headers: Mapping[str, str]) -> Any:
        """The same of a GET."""
        return await self._answered("GET", path, b"", headers)

    async def _answered(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        for _ in range(_TRIES):
            began = time.monotonic()
            answer = await self.request(method, path, body, headers)
            now = time.monotonic()
            if answer.status in _LATER and answer.retry_after is not None:
                self.retried += 1
                self._close()  # thousands that wait would leave no file descriptor to those who are served
                await asyncio.sleep(answer.retry_after)
                continue
            if self._answers is not None:
                self._answers.append((now, now - began))
            if answer.status >= 300:
                raise Problem(f"{method} {path} was answered with {answer.status}: {answer.body[:300].decode()}")
            return orjson.loads(answer.body)
        raise Problem(f"{method} {path} was put off {_TRIES} times")

    async def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One request and its answer, whatever its status. Raises `OSError` and `asyncio.IncompleteReadError`.

        It is sent again where the server has closed a connection that was idle.
        """
        if self._writer is not None:
            try:
                return await self._exchange(method, path, body, headers)
            except (ConnectionError, asyncio.IncompleteReadError):
                self._close()
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return await self._exchange(method, path, body, headers)

    async def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        assert self._reader is not None
        assert self._writer is not None
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        received = await self._reader.readexactly(int(fields.get("content-length", "0")))
        later = fields.get("retry-after")
        return Answer(int(head[0].split()[1]), received, float(later) if later else None)

"""An HTTP client for thousands of small requests: kept connections and a C parser, a tenth of httpx's own time.

It stands in for `httpx.AsyncClient` where only `request` is called, takes JSON and parameters, and fails as that does.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, Self, cast

import httptools
import httpx
import orjson

from deploy.simulation.city import Addresses, City, Person

_SECONDS = 30
"""How long an answer may take."""
_LINE = b"%s %s HTTP/1.1\r\nhost: %s\r\n"


class Client(httpx.AsyncClient):
    """One request at a time on a connection; as many connections as requests are under way."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: dict[tuple[str, int], list[_Connection]] = defaultdict(list)

    async def request(self, method: str, url: httpx.URL | str, **request: Any) -> httpx.Response:
        """The answer, whatever its status. Raises `httpx.TransportError` where there is none."""
        target = httpx.URL(url, params=request["params"]) if request.get("params") else httpx.URL(url)
        content = b"" if request.get("json") is None else orjson.dumps(request["json"])
        headers = {"content-type": "application/json", **(request.get("headers") or {})}
        lines = _LINE % (method.encode(), target.raw_path, target.netloc)
        lines += b"".join(b"%s: %s\r\n" % (name.encode(), value.encode()) for name, value in headers.items())
        message = lines + b"content-length: %d\r\n\r\n%s" % (len(content), content)
        address = (target.host, target.port or 80)
        while (kept := self._kept(address)) is not None:
            try:
                return await self._ask(kept, address, message)
            except _Gone:  # the server had given the idle connection up; nothing was lost but the connection
                continue
        loop = asyncio.get_running_loop()
        try:
            _, fresh = await loop.create_connection(_Connection, *address)
        except OSError as fault:
            raise httpx.ConnectError(str(fault)) from fault
        return await self._ask(fresh, address, message)

    async def aclose(self) -> None:
        """Closes the idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        await super().aclose()

    def _kept(self, address: tuple[str, int]) -> "_Connection | None":
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.open:
                return connection
        return None

    async def _ask(self, connection: "_Connection", address: tuple[str, int], message: bytes) -> httpx.Response:
        try:
            async with asyncio.timeout(_SECONDS):
                response = await connection.ask(message)
        except TimeoutError:
            connection.close()
            raise httpx.ReadTimeout(f"no answer within {_SECONDS} s") from None
        if connection.open:
            self._idle[address].append(connection)
        return response


class _Gone(httpx.ReadError):
    """The connection ended before a byte of the answer came."""


class _Connection(asyncio.Protocol):
    """One connection. `open`: it can take a request."""

    def __init__(self) -> None:
        self.open = False
        self._answer: asyncio.Future[httpx.Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.open = True

    async def ask(self, message: bytes) -> httpx.Response:
        """The answer to a request. Raises `httpx.ReadError`."""
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._begun = False
        self._transport.write(message)
        return await self._answer

    def close(self) -> None:
        self.open = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as fault:
            self._end(httpx.RemoteProtocolError(str(fault)))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._end(httpx.ReadError("the answer broke off") if self._answer and self._begun else _Gone("closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            status = self._parser.get_status_code()
            answer.set_result(httpx.Response(status, headers=self._headers, content=b"".join(self._body)))

    def _end(self, fault: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(fault)


class SwiftCity(City):
    """The city, called through `Client`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Addresses.of_stack(folder), Client())

    async def __aenter__(self) -> Self:
        return self

    def person(self, subject: str, *roles: str, unit: str | None = None, areas: tuple[str, ...] = ()) -> "SwiftPerson":
        known = super().person(subject, *roles, unit=unit, areas=areas)
        return SwiftPerson(self, known.subject, known.headers, known.unit)


class SwiftPerson(Person):
    """A caller who can spare the services the keeping of an idempotency key."""

    async def ask(self, service: str, path: str, body: Any, *, if_match: str | None = None) -> Any:
        """`post` without a key: for a step whose repetition a rule of its own forbids, or that then has no effect."""
        headers = self.headers if if_match is None else {**self.headers, "if-match": if_match}
        return (await self.city.call("POST", service, path, json=body, headers=headers)).json()

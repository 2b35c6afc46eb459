"""The running stack as people and partner systems see it: who they are, and how they call the services."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from chassis.kafka.connection import Connection
from contracts.roles import needs_areas
from deploy.stack import asked, connections, secrets, token
from deploy.stack.plan import SERVICES, from_environment

_TRIES = 60
_PAGE = 200


class Refusal(Exception):
    """A service said no: `status`, and what its problem document says."""

    def __init__(self, status: int, words: str, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class Addresses:
    """Where a stack is, and what its development tokens are signed with."""

    broker: Connection
    """As its administrator, who may look at everything."""
    urls: Mapping[str, str]
    token_key: str
    district: tuple[str, ...] = ("CH",)
    """The areas that are the whole district."""

    @classmethod
    def of_stack(cls, folder: Path) -> "Addresses":
        """Of the embedded stack in that folder, as it was started. Raises `Problem` if the environment is wrong."""
        plan = asked.as_asked(from_environment({**os.environ, "CASEGRID_DATA": str(folder)}))
        return cls(
            connections.administrator(plan),
            {name: plan.url(name) for name in SERVICES},
            secrets.load(plan.run, complete=False).token_key,
            token.whole_district(plan.district),
        )


class City:
    """The five services of a stack on this machine. Use as an async context manager."""

    def __init__(self, addresses: Addresses, client: httpx.AsyncClient | None = None) -> None:
        self._token_key, self._district = addresses.token_key, addresses.district
        self.broker = addresses.broker
        self.urls = addresses.urls
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self._client = client or httpx.AsyncClient(timeout=30, limits=limits)

    async def __aenter__(self) -> "City":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def person(self, subject: str, *roles: str, unit: str | None = None, areas: tuple[str, ...] = ()) -> "Person":
        """Somebody with a development token; in the whole district, where the roles need areas and none are named."""
        if not areas and needs_areas(roles):
            areas = self._district
        bearer = token.issue(self._token_key, subject=subject, roles=roles, unit=unit, areas=areas)
        return Person(self, subject, {"authorization": f"Bearer {bearer}"}, unit)

    async def call(self, method: str, service: str, path: str, **request: Any) -> httpx.Response:
        """The answer; a service that is not ready, or hurried, is asked again. Raises `Refusal`."""
        for _ in range(_TRIES):
            try:
                answer = await self._client.request(method, self.urls[service] + path, **request)
            except httpx.TransportError:
                await asyncio.sleep(0.5)
                continue
            if answer.status_code in (429, 503):
                await asyncio.sleep(min(2.0, float(answer.headers.get("retry-after", "1"))))
                continue
            if answer.status_code >= 400:
                problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
                raise Refusal(answer.status_code, problem.get("detail", answer.text[:500]), problem)
            return answer
        raise Refusal(503, f"{service} did not answer {method} {path}", {})

    async def parked(self, cases: Container[str]) -> list[str]:
        """What the services could not let take effect of these cases, and nobody has settled, in words."""
        operator = self.person("operator:he", "administrator")
        found = []
        for service in self.urls:
            if service != "audit":
                found += [
                    f"{service} has parked {item['topic']}/{item['partition']}@{item['offset']}"
                    f" of case {item['case_id']}: {item['reason']}"
                    async for item in operator.pages(service, "/parked", status="waiting")
                    if item["case_id"] in cases
                ]
        return found


@dataclass(frozen=True)
class Person:
    """A caller with credentials."""

    city: City
    subject: str
    headers: dict[str, str]
    unit: str | None

    async def get(self, service: str, path: str, **parameters: Any) -> Any:
        """The JSON a GET gives."""
        query = {name: value for name, value in parameters.items() if value is not None}
        return (await self.city.call("GET", service, path, params=query, headers=self.headers)).json()

    async def pages(self, service: str, path: str, **parameters: Any) -> AsyncIterator[dict[str, Any]]:
        """The items of every page of a list."""
        cursor = None
        while True:
            page = await self.get(service, path, limit=_PAGE, cursor=cursor, **parameters)
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return

    async def post(self, service: str, path: str, body: Any, *, if_match: str | None = None) -> Any:
        """The JSON a POST gives; sent with an idempotency key, so that asking again is harmless."""
        headers = {**self.headers, "idempotency-key": str(uuid.uuid4())}
        if if_match is not None:
            headers["if-match"] = if_match
        return (await self.city.call("POST", service, path, json=body, headers=headers)).json()

"""What the tests of all five services share: each service in turn, and the operations of its own document."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from chassis.service import Service
from chassis.store.migrations import migrate
from contracts.roles import Role
from tests.support.facts import case_id
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Running, running, token

EVERYBODY = token("everybody", *(role for role in Role if role != "partner"))
IDS = {
    "case_id": case_id(),
    "assignment_id": f"{case_id()}.1.1",
    "parked_id": "1",
    "index": "0",
    "reporter_ref": "reporter:x",
}
"""Of things that no service knows."""


@dataclass(frozen=True)
class Operation:
    """A method of a path, as the service's own document describes it."""

    method: str
    path: str
    described: dict[str, Any]

    def parameters(self, place: str = "query") -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, schema) of its parameters."""
        for one in self.described.get("parameters", ()):
            if one["in"] == place:
                yield one["name"], one["schema"]

    def required(self) -> dict[str, str]:
        """Values for the parameters that must be there, from their examples."""
        return {
            one["name"]: one.get("example") or one["schema"]["examples"][0]
            for one in self.described.get("parameters", ())
            if one["in"] == "query" and one["required"]
        }


@asynccontextmanager
async def serving(service: Service, database: Database) -> AsyncIterator[Running]:
    await migrate(database.admin_url, service.name, PASSWORD, service.migrations)
    async with running(service, database.url(service.name), role="api") as found:
        yield found


async def operations(api: Running, *methods: str) -> list[Operation]:
    document = (await api.client.get("/openapi.json")).json()
    return [
        Operation(method, path.format_map(IDS), described)
        for path, found in document["paths"].items()
        for method, described in found.items()
        if method in methods
    ]


async def ask(api: Running, operation: Operation, **query: Any) -> httpx.Response:
    return await api.client.get(operation.path, headers=EVERYBODY, params={**operation.required(), **query})


def named(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json().get("errors", ())]

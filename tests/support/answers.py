"""Watches the answers of a service in a test: whether its own document declares each status that it answers with."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

Met = tuple[str, str, int]

_DECLARED: dict[str, set[Met]] = {}
"""What the documents are known to declare: making a document takes longer than most tests."""


class Watched:
    """An application, with a note of the status of each answer of its operations."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._met = set[Met]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"])
            await send(message)

        await self._app(scope, receive, noted)

    def _note(self, scope: MutableMapping[str, Any], status: int) -> None:
        route = scope.get("route")
        if isinstance(route, APIRoute) and route.include_in_schema and scope["method"] in route.methods:
            self._met.add((route.path, scope["method"].lower(), status))

    def undeclared(self) -> list[Met]:
        """(path, method, status) of every answer that the document does not declare."""
        declared = _DECLARED.setdefault(self._app.title, set())
        if new := self._met - declared:
            paths = self._app.openapi()["paths"]
            declared |= {met for met in new if str(met[2]) in paths[met[0]][met[1]]["responses"]}
        return sorted(self._met - declared)

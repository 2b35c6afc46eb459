"""Routes whose dependencies are asked in one answer as FastAPI alone would answer them."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi import Request as HttpRequest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from chassis.web.dependencies import shorten


class Body(BaseModel):
    number: int


def application(asked: list[str]) -> FastAPI:
    """Notes in `asked` what is asked of a request, in order."""

    async def role(request: HttpRequest) -> None:
        asked.append("role")
        if "x-stranger" in request.headers:
            raise HTTPException(403, "a stranger")

    async def process(request: HttpRequest) -> str:
        asked.append("process")
        return f"process of {request.url.path}"

    async def caller(request: HttpRequest, process: Annotated[str, Depends(process)]) -> str:
        asked.append("caller")
        return f"caller at the {process}"

    async def key(
        request: HttpRequest,
        caller: Annotated[str, Depends(caller)],
        key: Annotated[str | None, Header(alias="X-Key", pattern="^k")] = None,
    ) -> str:
        asked.append("key")
        return f"{key} of the {caller}"

    async def nothing() -> str:
        asked.append("nothing")
        return "nothing"

    def in_a_thread() -> str:
        asked.append("thread")
        return "thread"

    async def held(caller: Annotated[str, Depends(caller)]) -> AsyncIterator[str]:
        asked.append("held")
        yield f"held for the {caller}"
        asked.append("let go")

    app = FastAPI(dependencies=[Depends(role)])

    @app.post("/things/{name}")
    async def thing(
        name: str,
        body: Body,
        process: Annotated[str, Depends(process)],
        key: Annotated[str, Depends(key)],
        caller: Annotated[str, Depends(caller)],
        nothing: Annotated[str, Depends(nothing)],
        thread: Annotated[str, Depends(in_a_thread)],
        page: int = 1,
    ) -> list[Any]:
        return [name, body.number, process, key, caller, nothing, thread, page]

    @app.get("/held")
    async def holding(held: Annotated[str, Depends(held)], caller: Annotated[str, Depends(caller)]) -> list[str]:
        return [held, caller]

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    return app


REQUESTS = (
    httpx.Request("POST", "http://x/things/a?page=2", json={"number": 3}, headers={"X-Key": "k1"}),
    httpx.Request("POST", "http://x/things/a", json={"number": 3}),
    httpx.Request("POST", "http://x/things/a", json={"number": "no"}, headers={"X-Key": "no"}),
    httpx.Request("POST", "http://x/things/a?page=no", json={"number": "no"}, headers={"X-Stranger": "1"}),
    httpx.Request("POST", "http://x/things/a", content=b"no"),
    httpx.Request("GET", "http://x/held"),
    httpx.Request("GET", "http://x/plain"),
    httpx.Request("GET", "http://x/plain", headers={"X-Stranger": "1"}),
    httpx.Request("GET", "http://x/none"),
)


@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
async def test_the_answer_is_that_of_fastapi(request_: httpx.Request) -> None:
    answers, asked = [], ([], [])
    for notes, short in zip(asked, (False, True), strict=True):
        app = application(notes)
        if short:
            shorten(route for route in app.routes if isinstance(route, APIRoute))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answer = await client.send(request_)
            answers.append((answer.status_code, answer.json()))
    assert answers[0] == answers[1]
    assert set(asked[0]) == set(asked[1])
    assert asked[0][:1] == asked[1][:1]


def test_the_document_is_that_of_fastapi() -> None:
    app, shortened = application([]), application([])
    shorten(route for route in shortened.routes if isinstance(route, APIRoute))
    assert app.openapi() == shortened.openapi()

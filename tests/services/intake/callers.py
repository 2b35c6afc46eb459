"""Who calls intake over HTTP in its tests, and how."""

import itertools
import json
from typing import Any

import httpx

from contracts.fields import Fact
from tests.support.facts import fact_record
from tests.support.services import Running, token

LI = token("li.na@example.org", "reporter")
CHEN = token("chen", "reporter")
MEMBER = token("member:7", "grid_member", unit="grid:CH/shuangqiaozi/shuangqiaolubei/g001")
ACCEPTOR = token("wang", "acceptor")
DISPATCHER = token("zhao", "dispatcher")
ADMINISTRATOR = token("root", "administrator")
HOTLINE = {"x-client-key": "hotline-key"}
FIRE = {"x-client-key": "fire-key"}
ARCHIVE = {"x-client-key": "archive-key"}
ERASURE = "?reason=asked+for+in+writing"
FLOOD = {"title": "water on the road"}


async def post(intake: Running, path: str, who: dict[str, str], body: Any, **headers: str) -> httpx.Response:
    return await intake.client.post(path, headers={**who, **headers}, json=body)


async def file(intake: Running, who: dict[str, str] = LI, **body: Any) -> dict[str, Any]:
    answer = await post(intake, "/reports", who, {**FLOOD, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def get(intake: Running, path: str, who: dict[str, str] = ADMINISTRATOR, /, **query: Any) -> Any:
    answer = await intake.client.get(path, headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def status_code(intake: Running, path: str, who: dict[str, str], /, **query: Any) -> int:
    return (await intake.client.get(path, headers=who, params=query)).status_code


_numbers = itertools.count(1)


async def told(intake: Running, case: str, *facts: Fact) -> None:
    """Lets intake take in what another service ruled."""
    await intake.runtime.inbox.process([fact_record(case, fact, sequence=next(_numbers)) for fact in facts])


async def rows(intake: Running, query: str, *arguments: Any) -> list[Any]:
    return [tuple(row) for row in await intake.runtime.database.fetch(query, *arguments)]


async def events_of(intake: Running, case: str) -> list[dict[str, Any]]:
    return [
        json.loads(body)
        for (body,) in await rows(intake, "SELECT body FROM events WHERE stream_id = $1 ORDER BY version", case)
    ]

"""Thousands of random and mutated calls of every operation of the five running services, the same ones each time.

CASEGRID_FUZZ_CALLS and CASEGRID_FUZZ_SEED make a long campaign of it, with other calls.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.reference import Areas
from deploy.bench.chain import CATEGORY, places
from tests.services.every import EVERYBODY
from tests.support.facts import record_of
from tests.support.fleet import SERVICES, Fleet
from tests.support.fuzzing import Attempt, Document, Fuzzer, Known, faults
from tests.support.infrastructure import Database
from tests.support.services import eventually, publish, token

CALLS = int(os.environ.get("CASEGRID_FUZZ_CALLS", "1500"))
"""In all."""
SEED = int(os.environ.get("CASEGRID_FUZZ_SEED", "20260509"))
CALLERS = (EVERYBODY, {}, token("li", "reporter"), token("wu", "auditor"), {"x-client-key": "none"})
CASES = 12
KIND = 60
"""Characters by which faults are told apart."""


@pytest.mark.timeout(240 + CALLS // 5)
async def test_no_call_brings_forth_what_the_document_does_not_say(
    database: Database,
    kafka: str,
    make_topics: Callable[..., Awaitable[list[str]]],
    topic_prefix: str,
    district: Path,
    tmp_path: Path,
) -> None:
    await make_topics(topic_prefix)
    databases = {name: database.url(name) for name in SERVICES}
    more = {"CASEGRID_FAILURES_PER_MINUTE": "1000000"}
    async with Fleet(
        databases=databases, kafka=kafka, prefix=topic_prefix, district=district, logs=tmp_path, **more
    ) as fleet:
        await fleet.ready(seconds=120)
        known = await _cases(fleet, district)
        await publish(kafka, topic_prefix, [record_of(b"junk", None, topic) for topic in ("ReportFiled", "Assigned")])
        found = await asyncio.gather(*(_fuzz(fleet, name, SEED + n, known) for n, name in enumerate(SERVICES)))
    starts = {name: (tmp_path / f"{name}.log").read_text().count("Started server process") for name in SERVICES}
    assert starts == dict.fromkeys(SERVICES, 1), "a process ended, and was started again"
    told = [(name, *one) for name, some in zip(SERVICES, found, strict=True) for one in some]
    kinds = {fault[:KIND]: f"{fault}\n    {name}: {attempt}" for name, fault, attempt in told}
    assert not told, f"{len(told)} faults of seed {SEED}, one of each kind:\n" + "\n".join(kinds.values())


async def _cases(fleet: Fleet, district: Path) -> dict[str, list[str]]:
    """Files some reports and waits until there are assignments; what paths may name."""
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    cases = list[str]()
    async with httpx.AsyncClient(headers=EVERYBODY, timeout=20) as client:
        for n, spot in enumerate(places(areas, CASES)):
            body: dict[str, Any] = {"title": f"cover {n} tilted", "reporter": {"name": "Li", "phone": "1"}}
            if n % 3:
                body |= {"category": CATEGORY, "place": spot.model_dump(mode="json", include={"point"})}
            answer = await client.post(fleet.url("intake") + "/reports", json=body)
            assert answer.status_code == 201, answer.text
            cases.append(answer.json()["case_id"])

        async def assigned() -> list[str] | None:
            listed = (await client.get(fleet.url("dispatch") + "/assignments")).json()["items"]
            return [item["assignment_id"] for item in listed] if len(listed) >= CASES // 2 else None

        assignments = await eventually(assigned, seconds=60, what="assignments")
    return {
        "case_id": cases,
        "assignment_id": assignments or [],
        "parked_id": ["1", "2"],
        "index": ["0", "7"],
        "reporter_ref": ["reporter:x"],
    }


async def _fuzz(fleet: Fleet, name: str, seed: int, known: dict[str, list[str]]) -> list[tuple[str, Attempt]]:
    found = list[tuple[str, Attempt]]()
    async with httpx.AsyncClient(base_url=fleet.url(name), timeout=30) as client:
        document = Document((await client.get("/openapi.json")).json())
        kept = Known({parameter: [*values] for parameter, values in known.items()})
        fuzzer = Fuzzer(document, seed, kept, CALLERS)
        for method, path, described in islice(cycle(document.operations), CALLS // len(SERVICES)):
            attempt = fuzzer.draw(method, path, described)
            try:
                answer = await _insist(client, attempt)
            except httpx.HTTPError as fault:
                found.append((f"no answer: {fault!r}", attempt))
                continue
            found += [(one, attempt) for one in faults(document, attempt, answer)]
            if answer.status_code < 300 and answer.headers.get("content-type") == "application/json":
                kept.learn_from(answer.json())
    return found


async def _insist(client: httpx.AsyncClient, attempt: Attempt) -> httpx.Response:
    """The same call once more where the server has just closed the connection, which was idle."""
    try:
        return await _ask(client, attempt)
    except (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError):
        return await _ask(client, attempt)


async def _ask(client: httpx.AsyncClient, attempt: Attempt) -> httpx.Response:
    """The answer; of one without end the beginning."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in attempt.headers.items()]
    async with client.stream(attempt.method, attempt.url, headers=headers, content=attempt.content) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return httpx.Response(answer.status_code, headers=answer.headers, content=b"")
        await answer.aread()
        return answer

"""One case is followed through five services by its trace, in a real OTLP receiver."""

import json
from pathlib import Path

import asyncpg
import httpx

from contracts.reference import Areas
from deploy.bench.chain import CATEGORY, places
from tests.support.fleet import SERVICES, Fleet
from tests.support.infrastructure import Database
from tests.support.otlp import Context, Receiver, receiving
from tests.support.services import eventually, token

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, CONSUMER = 2, 5
"""Kinds of spans, as the protocol numbers them."""


async def test_a_case_is_followed_over_all_services_by_parents_and_links(
    database: Database, kafka: str, topics: str, district: Path, tmp_path: Path
) -> None:
    with receiving() as receiver:
        fleet = Fleet(
            databases={name: database.url(name) for name in SERVICES},
            kafka=kafka,
            prefix=topics,
            district=district,
            logs=tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            CASEGRID_LOG_LEVEL="INFO",
        )
        async with fleet:
            await fleet.ready()
            case, unit = await _file(fleet, district)
            await _work(fleet, case, unit)
            await eventually(lambda: _reached(receiver, (TRACE, SPAN)), what="spans of all five services", seconds=30)
        spans = receiver.follow((TRACE, SPAN))
        filing = next(span for span in spans if span.service == "intake" and span.kind == SERVER)
        assert (filing.name, filing.parent) == ("POST /reports", (TRACE, SPAN))
        assert filing.attributes["http.route"] == "/reports"
        assert filing.attributes["http.response.status_code"] == "201"
        taken = [span for span in spans if span.kind == CONSUMER]
        assert {span.attributes["messaging.operation.type"] for span in taken} == {"process"}
        assert {span.attributes["messaging.system"] for span in taken} == {"kafka"}
        assert {span.parent for span in taken} == {None}
        assert len({span.schema for span in spans}) == 1
        assert filing.schema.startswith("https://opentelemetry.io/schemas/")
        await _assert_first_trace_stays(fleet, database, case)


async def _file(fleet: Fleet, district: Path) -> tuple[str, str]:
    """Files a report under the trace; the case, and the unit that has it once it is dispatched."""
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    [spot] = places(areas, 1)
    assert spot.point is not None
    headers = {**token("member:g001", "grid_member"), "traceparent": f"00-{TRACE}-{SPAN}-01"}
    body = {"title": "cover tilted", "category": CATEGORY, "place": {"point": spot.point.model_dump()}}
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(f"{fleet.url('intake')}/reports", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["traceparent"].split("-")[1] == TRACE
        case = answer.json()["case_id"]

        async def dispatched() -> str | None:
            found = await client.get(f"{fleet.url('dispatch')}/cases/{case}", headers=token("li", "dispatcher"))
            return found.json()["assignments"][0]["unit"] if found.status_code == 200 else None

        return case, await eventually(dispatched, what="the assignment", seconds=30) or ""


async def _work(fleet: Fleet, case: str, unit: str) -> None:
    """The unit resolves its assignment, so that feedback has something to do."""
    worker = token("worker:7", "handling_unit", unit=unit)
    async with httpx.AsyncClient(timeout=10, headers=worker) as client:
        for step in ("acknowledge", "resolve"):
            answer = await client.post(f"{fleet.url('dispatch')}/assignments/{case}.1.1/{step}", json={})
            assert answer.status_code == 200, answer.text


async def _reached(receiver: Receiver, start: Context) -> bool:
    return {span.service for span in receiver.follow(start)} == set(SERVICES)


async def _assert_first_trace_stays(fleet: Fleet, database: Database, case: str) -> None:
    """Every record of the case names its first trace; those that units act in anew begin one of their own."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        rows = await connection.fetch(
            "SELECT topic, convert_from(body, 'UTF8') AS body FROM audit.log WHERE case_id = $1 ORDER BY index", case
        )
    finally:
        await connection.close()
    attributes = {row["topic"]: json.loads(row["body"])["traceparent"] for row in reversed(rows)}
    assert attributes["ReportFiled"].split("-")[1] == TRACE
    assert attributes["Assigned"] == attributes["ReportFiled"]

"""A reporter's name and number stand in one table of intake, and nowhere else: the five services, with all they leave.

Looked through are every table of every service, every topic, every line of every log at its most talkative, everything
that is traced, and every answer but those to whoever may read the name.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from contracts.reference import Areas
from deploy.bench.chain import CATEGORY, places
from tests.support.fleet import SERVICES, Fleet
from tests.support.infrastructure import Database, execute
from tests.support.otlp import Receiver, receiving
from tests.support.services import eventually, token

PERSON = {"name": "Zenobia Quillfeather 曾诺比亚", "phone": "+86 28 5550 7391"}
TRACES = ("Zenobia", "Quillfeather", "诺比亚", "5550 7391")
"""Parts of the name and the number, none of which may be found."""
ACCEPTOR, ADMINISTRATOR = token("wang", "acceptor"), token("root", "administrator")
LI = token("li", "reporter")
ANSWERING = ("intake POST disclosure", "intake POST disclosure", "intake GET own")
"""The requests whose answers may hold them."""


def found_in(content: bytes | str) -> list[str]:
    """The parts that the content holds: as text, as JSON writes it in ASCII, or in hexadecimal."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    return [
        part
        for part in TRACES
        if part in text or json.dumps(part)[1:-1] in text or part.encode().hex() in text.casefold()
    ]


class Witness:
    """Asks, and keeps every answer."""

    def __init__(self, fleet: Fleet, client: httpx.AsyncClient) -> None:
        self._fleet = fleet
        self._client = client
        self.answers: list[tuple[str, httpx.Response]] = []

    async def ask(self, service: str, method: str, path: str, who: dict[str, str], **more: Any) -> httpx.Response:
        """`name` says what the request is called, else its path does."""
        name, headers = more.pop("name", path), more.pop("headers", {})
        answer = await self._client.request(method, self._fleet.url(service) + path, headers={**who, **headers}, **more)
        self.answers.append((f"{service} {method} {name}", answer))
        return answer


async def test_a_name_and_a_number_stand_in_one_table_only(
    database: Database, kafka: str, topics: str, district: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with receiving() as receiver:
        fleet = Fleet(
            databases={name: database.url(name) for name in SERVICES},
            kafka=kafka,
            prefix=topics,
            district=district,
            logs=logs,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            CASEGRID_LOG_LEVEL="DEBUG",
        )
        async with fleet, httpx.AsyncClient(timeout=10) as client:
            await fleet.ready()
            witness = Witness(fleet, client)
            case = await _file_and_read(witness, district)
            await _refused(witness, case, database)
            await eventually(lambda: _audited(witness, case), what="the disclosure in audit's log", seconds=30)
            await _look_everywhere(witness, case)
            await eventually(lambda: _traced(receiver), what="spans of all five services", seconds=30)
        assert [name for name, answer in witness.answers if found_in(answer.content)] == list(ANSWERING)
        assert [raw for raw in receiver.raw if found_in(raw)] == []
    assert [line for file in logs.iterdir() for line in file.read_text().splitlines() if found_in(line)] == []
    assert {file.stem for file in logs.iterdir() if file.stat().st_size} == {*SERVICES}
    assert await _tables_with(database) == {"intake.reporters"}
    assert await _records_with(kafka, topics) == []


async def _file_and_read(witness: Witness, district: Path) -> str:
    """Files reports with a name and a number, by staff and by the person, and reads them; the first case."""
    areas = Areas.model_validate_json((district / "areas.json").read_bytes()).areas
    [spot] = places(areas, 1)
    assert spot.point is not None
    place = {"point": spot.point.model_dump()}
    body = {"title": "cover tilted", "category": CATEGORY, "place": place, "reporter": PERSON}
    key = {"idempotency-key": "k"}
    filed, repeated = [
        await witness.ask("intake", "POST", "/reports", ACCEPTOR, json=body, headers=key) for _ in range(2)
    ]
    assert (filed.status_code, repeated.content) == (201, filed.content)
    case, reference = filed.json()["case_id"], filed.json()["reporter_ref"]
    own = (await witness.ask("intake", "POST", "/reports", LI, json={"title": "dark", "reporter": PERSON})).json()
    why, again = {"case_id": case, "purpose": "call back"}, {"idempotency-key": "l"}
    for _ in range(2):
        path = f"/reporters/{reference}/disclosure"
        read = await witness.ask("intake", "POST", path, ACCEPTOR, json=why, headers=again, name="disclosure")
        assert read.json()["phone"] == PERSON["phone"], read.text
    mine = await witness.ask("intake", "GET", f"/reporters/{own['reporter_ref']}", LI, name="own")
    assert mine.json()["name"] == PERSON["name"]
    more = {"text": "still tilted"}
    assert (await witness.ask("intake", "POST", f"/reports/{case}/supplements", ACCEPTOR, json=more)).is_success
    return case


async def _refused(witness: Witness, case: str, database: Database) -> None:
    """What is wrong with a request is said without what it held; also where the store itself fails."""
    name, phone = PERSON["name"], PERSON["phone"]
    wrong: list[dict[str, Any]] = [
        {"title": "x", "reporter": {"name": name, "phone": phone * 9}},
        {"title": "x", "reporter": {"name": name * 99, "phone": phone}},
        {"title": "x", "reporter": {"name": f"{name}\0", "phone": phone}},
        {"title": "x", "reporter": {**PERSON, "nick": name}},
        {"title": "x", "reporter": [name, phone]},
        {"title": "x", "reporter": name},
        {"title": "x", "reporter": PERSON, "category": "event.nowhere"},
        {"title": "x", "reporter": PERSON, "place": {"area": "CH/nowhere"}},
        {"title": " ", "reporter": PERSON},
    ]
    for body in wrong:
        assert (await witness.ask("intake", "POST", "/reports", ACCEPTOR, json=body)).status_code == 422, body
    doubled = json.dumps({"title": "x", "reporter": PERSON})[:-1] + ', "title": "y"}'
    for content in (doubled, doubled[:-1], doubled.replace('"x"', '"\\ud800"')):
        headers = {"content-type": "application/json"}
        refused = await witness.ask("intake", "POST", "/reports", ACCEPTOR, content=content, headers=headers)
        assert refused.status_code == 422
    await execute(database.admin_url, "REVOKE INSERT ON intake.reporters FROM intake")
    failed = await witness.ask("intake", "POST", "/reports", ACCEPTOR, json={"title": "x", "reporter": PERSON})
    assert failed.status_code == 503
    await execute(database.admin_url, "GRANT INSERT ON intake.reporters TO intake")
    why = {"case_id": case, "purpose": "call back"}
    assert (await witness.ask("intake", "POST", "/reporters/reporter:x/disclosure", ACCEPTOR, json=why)).is_error


async def _audited(witness: Witness, case: str) -> bool:
    answer = await witness.ask("audit", "GET", f"/cases/{case}", ADMINISTRATOR)
    if not (answer.is_success and "disclosed" in answer.text and "dispatched" in answer.text):
        return False
    checked = await witness.ask("audit", "GET", f"/completeness?case_id={case}", ADMINISTRATOR)
    return checked.json()["verdict"] == "complete"


async def _look_everywhere(witness: Witness, case: str) -> None:
    """Asks every route that only reads, of every service."""
    everybody = token("everybody", "administrator", "auditor", "shift_leader", "dispatcher", "evaluator", "acceptor")
    values = {"case_id": case, "assignment_id": f"{case}.1.1", "parked_id": "1", "index": "0", "reporter_ref": "x"}
    for service in SERVICES:
        document = (await witness.ask(service, "GET", "/openapi.json", everybody)).json()
        for path, operations in document["paths"].items():
            if "get" in operations and not path.endswith("/stream"):
                required = {
                    one["name"]: one.get("example") or one["schema"]["examples"][0]
                    for one in operations["get"].get("parameters", ())
                    if one["in"] == "query" and one["required"]
                }
                await witness.ask(service, "GET", path.format_map(values), everybody, params=required)


async def _traced(receiver: Receiver) -> bool:
    return {span.service for span in receiver.spans} == {*SERVICES} and any(
        "disclosure" in span.name for span in receiver.spans
    )


async def _tables_with(database: Database) -> set[str]:
    """The tables of all schemas in which some row holds a part of the name or the number."""
    connection = await asyncpg.connect(database.admin_url)
    found = set[str]()
    for schema, table in await connection.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ):
        rows = await connection.fetch(f'SELECT t::text FROM "{schema}"."{table}" t')
        if any(found_in(row[0]) for row in rows):
            found.add(f"{schema}.{table}")
    await connection.close()
    return found


async def _records_with(kafka: str, prefix: str) -> list[str]:
    """The topics on which some record holds a part of them."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        names = [name for name in await consumer.topics() if name.startswith(prefix)]
        assert len(names) >= len(("ReportFiled", "Assigned", "Resolved", "Evaluated", "Progressed"))
        consumer.subscribe(names)
        await eventually(lambda: _assigned(consumer), what="partitions")
        ends = await consumer.end_offsets(consumer.assignment())
        assert sum(ends.values()) > 0
        found: list[str] = []
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for partition, batch in (await consumer.getmany(timeout_ms=200)).items():
                found += [partition.topic for record in batch if any(found_in(part) for part in _parts(record))]
        return found
    finally:
        await consumer.stop()


async def _assigned(consumer: AIOKafkaConsumer) -> bool:
    return bool(consumer.assignment())


def _parts(record: Any) -> Iterable[bytes]:
    yield record.key or b""
    yield record.value or b""
    for name, value in record.headers:
        yield name.encode()
        yield value or b""


@pytest.mark.parametrize(
    "content", [PERSON["phone"], PERSON["name"].encode(), PERSON["name"].encode().hex(), json.dumps(PERSON)]
)
def test_it_would_be_found(content: str | bytes) -> None:
    assert found_in(content)

"""Very many records that cannot take effect, in every service that decides: they take bounded room, nothing of them is
lost silently, and an operator settles them together."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from chassis.engine.model import Model
from chassis.engine.room import MOST_RECORDS
from chassis.kafka.records import Record
from chassis.service import Service
from tests.services.every import EVERYBODY
from tests.services.taking import OF_KIND, Taker, reads, record, story_of, taking, with_decider
from tests.support.facts import case_id, record_of
from tests.support.services import Running, eventually, running, token

LEADER = token("leader:1", "shift_leader")
AUDITOR = token("auditor:1", "auditor")
FILL = """
INSERT INTO parked (kind, reason, topic, partition, "offset", headers, body)
SELECT 'invalid', 'junk', $1, 5, n, '[]', 'x' FROM generate_series(1, $2::bigint) n
"""


def parked_topic(service: Service) -> str:
    """A topic whose unreadable records this service parks."""
    assert isinstance(service.model, Model)
    (topic, *_) = sorted(one for one in service.model.parks if not one.startswith("from.")) or ["from.water"]
    return topic


def junk(topic: str, number: int = 1) -> list[Record]:
    return [record_of(b"{}", case_id(), topic) for _ in range(number)]


where_junk_is_parked = pytest.mark.parametrize("service", ["intake", "triage", "dispatch"], indirect=True)
"""Audit's log has it all, and what feedback reads is parked by others."""


@pytest.fixture
async def deciding(service: Service, url: str) -> AsyncIterator[Taker]:
    async with taking(service, url) as taker:
        yield taker


@pytest.fixture
async def operated(deciding: Taker, url: str) -> AsyncIterator[Running]:
    async with running(deciding.service, url, role="api") as found:
        yield found


async def count(taker: Taker, where: str) -> int:
    return (await taker.store.fetch(f"SELECT count(*) FROM parked WHERE {where}"))[0][0]


async def steps(taker: Taker, step: str) -> int:
    query = "SELECT count(*) FROM events WHERE own AND convert_from(body, 'UTF8')::json -> 'data' ->> 'step' = $1"
    return (await taker.store.fetch(query, step))[0][0]


@where_junk_is_parked
async def test_many_are_settled_by_one_request_each_with_its_own_step(deciding: Taker, operated: Running) -> None:
    topic = parked_topic(deciding.service)
    await deciding.take(*junk(topic, 12))

    async def post(path: str, who: Any = LEADER, key: str | None = None, **body: Any) -> Any:
        headers = {**who, **({"idempotency-key": key} if key else {})}
        wanted = {"kind": "invalid", "reason": "a storm", **body}
        return await operated.client.post(path, headers=headers, json=wanted)

    assert (await post("/discards", AUDITOR)).status_code == 403
    first = await post("/discards", key="k1", topic=topic, limit=5)
    assert first.status_code == 200, first.text
    assert first.json() == {"chosen": 5, "settled": 5, "refused": 0, "refusals": [], "left": 7}
    again = await post("/discards", key="k1", topic=topic, limit=5)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    other = await post("/discards", key="k1", topic=topic, limit=6)
    assert other.status_code == 422
    assert await count(deciding, "status = 'waiting'") == 7
    assert await steps(deciding, "discarded") == 5
    refused = (await post("/retries", limit=2)).json()
    assert (refused["settled"], refused["refused"], refused["left"]) == (0, 2, 7)
    assert {one["rule"] for one in refused["refusals"]} == {"parked.invalid"}
    others: list[dict[str, Any]] = [{"kind": "failed"}, {"topic": "nowhere"}, {"reason_begins": "other"}, {"up_to": 1}]
    for unfit in others:
        assert (await post("/discards", **unfit)).json()["chosen"] == 0
    assert (await post("/discards", limit=501)).status_code == 422
    rest = (await post("/discards")).json()
    assert (rest["settled"], rest["left"]) == (7, 0)
    assert await steps(deciding, "discarded") == 12


@where_junk_is_parked
async def test_an_interrupted_request_goes_on_with_the_same_records(deciding: Taker, operated: Running) -> None:
    """It has chosen them, and was killed: what came meanwhile is not meant."""
    topic = parked_topic(deciding.service)
    await deciding.take(*junk(topic, 4))
    body = {"kind": "invalid", "reason": "a storm", "limit": 4}
    headers = {**LEADER, "idempotency-key": "k2"}
    assert (await operated.client.post("/discards", headers=headers, json=body)).json()["settled"] == 4
    ids = [row[0] for row in await deciding.store.fetch("SELECT parked_id FROM parked ORDER BY parked_id")]
    await deciding.store.fetch("UPDATE parked SET status = 'waiting' WHERE parked_id = ANY($1)", ids[2:])
    await deciding.store.fetch(
        "UPDATE idempotency SET status = NULL, body = convert_to(array_to_json($1::bigint[])::text, 'UTF8')", ids
    )
    await deciding.take(*junk(topic, 3))
    found = (await operated.client.post("/discards", headers=headers, json=body)).json()
    assert found == {"chosen": 4, "settled": 4, "refused": 0, "refusals": [], "left": 3}


@where_junk_is_parked
async def test_beyond_the_bound_coordinates_and_reason_are_kept_and_it_is_said(
    deciding: Taker, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = parked_topic(deciding.service)
    await deciding.take(*junk(topic))
    await deciding.store.fetch(FILL, topic, MOST_RECORDS)
    async with taking(deciding.service, url) as later:
        caplog.clear()
        await later.take(*junk(topic, 500))
        assert await count(later, "body IS NULL AND stream_id IS NOT NULL AND reason <> ''") == 500
        assert await count(later, "status = 'waiting'") == MOST_RECORDS + 501
        room = later.processor.room  # pyright: ignore[reportAttributeAccessIssue]
        assert room.health() == {"waiting": {topic: MOST_RECORDS + 501}, "full": [topic]}
        assert topic in room.warning()
        said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        assert any("more than are kept whole" in one for one in said)
        assert len(said) < 40
        await later.take(*valid(later))
        assert await count(later, "kind = 'unfit' AND body IS NULL") == 0


def valid(taker: Taker) -> Iterator[Record]:
    """A fact that is parked although it is one: it is kept whole, whatever waits."""
    for kind in OF_KIND:
        story, last = story_of(kind, "storm")
        if reads(taker.service, last) and len(story) > 1:
            yield record(last)


@where_junk_is_parked
async def test_a_record_without_bytes_can_be_discarded_and_says_why_it_cannot_be_retried(
    deciding: Taker, operated: Running
) -> None:
    topic = parked_topic(deciding.service)
    await deciding.store.fetch(FILL, topic, MOST_RECORDS)
    await deciding.take(*junk(topic))
    number = (await deciding.store.fetch("SELECT max(parked_id) FROM parked"))[0][0]
    why = {"reason": "a storm"}
    shown = (await operated.client.get(f"/parked/{number}", headers=EVERYBODY)).json()
    assert (shown["body_base64"], shown["topic"]) == (None, topic)
    refused = await operated.client.post(f"/parked/{number}/retry", headers=LEADER, json=why)
    assert (refused.status_code, "are not kept here" in refused.text) == (409, True)
    assert (await operated.client.post(f"/parked/{number}/discard", headers=LEADER, json=why)).status_code == 200


@where_junk_is_parked
async def test_what_was_settled_long_ago_goes_and_what_waits_can_be_removed_by_nobody(
    deciding: Taker, url: str
) -> None:
    await deciding.take(*junk(parked_topic(deciding.service), 3))
    await deciding.store.fetch("""UPDATE parked SET status = 'discarded', settled_at = now() - CASE WHEN parked_id = 1
        THEN interval '91 days' ELSE interval '89 days' END WHERE parked_id < 3""")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="waits"):
        await deciding.store.fetch("DELETE FROM parked")

    async def left() -> bool:
        return await count(deciding, "true") == 2

    async with running(deciding.service, url, role="worker"):
        await eventually(left, what="the old record to go")
    assert await count(deciding, "parked_id IN (2, 3)") == 2


@where_junk_is_parked
async def test_one_record_that_fails_costs_few_transactions(deciding: Taker, caplog: pytest.LogCaptureFixture) -> None:
    kind = next(kind for kind in ("new", "dispatched") if reads(deciding.service, OF_KIND[kind]))
    facts = [story_of(kind, f"storm {number}")[1] for number in range(256)]
    model, bad = deciding.model, facts[77].event.subject

    def evolve(state: Any, event: Any) -> Any:
        if event.subject == bad:
            raise ArithmeticError("a defect")
        return model.decider.evolve(state, event)

    broken = with_decider(model, evolve=evolve)
    deciding.meets(broken)
    caplog.clear()
    await deciding.take(*map(record, facts))
    for one in facts:
        assert await deciding.taken(one.event.subject) == ([] if one.event.subject == bad else [one.event.id])
    assert [kind for kind, _ in await deciding.parked(bad)] == ["failed"]
    halves = [one for one in caplog.records if "in halves" in one.getMessage()]
    assert len(halves) <= 8

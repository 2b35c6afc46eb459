"""What others write in a service's name is named by it: on every topic that it writes, once, in the case it names."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from chassis.clock import wall_clock
from chassis.engine.forgeries import Judge
from chassis.engine.model import Model
from chassis.kafka.records import Record
from chassis.service import Service
from chassis.store.journal import Journal
from chassis.store.streams import Cache
from chassis.store.transaction import Transaction
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.homes import SENDS, service_source
from contracts.notice import ClosureNotice
from contracts.progress import Forged, Retried
from contracts.reference import Partner, Partners
from contracts.triage import Rejected
from tests.support.batches import batch, put, record
from tests.support.facts import case_id, event_of, record_of, report
from tests.support.rulings import WHY
from tests.support.services import Mortal, Running, eventually, running, token

DECIDING = ("intake", "triage", "dispatch", "feedback")
EACH = pytest.mark.parametrize("service", DECIDING, indirect=True)
TRIAGE = pytest.mark.parametrize("service", ["triage"], indirect=True)
SETTLED = Retried(parked_topic="Assigned", partition=0, offset=7, parked_because="a defect", reason="mended")
OPERATOR = token("ops", "administrator")
REJECTED = Rejected(why="not_reproducible", reason="nothing there", explanation=WHY)
PARTNER = Partner(id="water", name="Water", says=("reports", "steps"), units=("dept:water",))
PARTITIONS = 3

Start = Callable[[], AbstractAsyncContextManager[Running]]
Place = tuple[str, int, int]
"""Topic, partition and offset."""


def fact_on(topic: str, case: str) -> Fact:
    """A fact as the writer of that topic would say it."""
    facts: Mapping[str, Fact] = {
        "ReportFiled": report(),
        "Assigned": REJECTED,
        "Resolved": Resolved(
            assignment_id=f"{case}.1.1",
            unit="dept:water",
            outcome="fixed",
            resolve_by=datetime.now(UTC),
            late_by_seconds=0,
        ),
        "Evaluated": Evaluated(verdict="closed", outcome="fixed", checked_by="rule:x"),
        "Progressed": SETTLED,
        "to.water": ClosureNotice(to="water", outcome="fixed"),
    }
    return facts[topic]


def forged(name: str, topic: str, case: str) -> Record:
    """A record that is valid in every way, in that service's name."""
    _, raw = event_of(case, fact_on(topic, case), source=service_source(name))
    return record_of(raw, case, topic)


def written_by(name: str) -> list[str]:
    """The topics that a service writes, where `water` is the one partner."""
    return [topic.replace("*", "water") for topic in SENDS[name]]


@dataclass(frozen=True)
class Stage:
    """A broker's topics, and a service that can be started on them again and again."""

    kafka: str
    prefix: str
    partners: Path
    start: Start

    async def put(self, *records: Record) -> list[Place]:
        """Writes records as somebody with the home's password would, each to its `partition`."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")
        await producer.start()
        try:
            told: list[Place] = []
            for one in records:
                sent = await producer.send_and_wait(
                    self.prefix + one.topic, one.value, one.key, one.partition, headers=list(one.headers)
                )
                told.append((one.topic, sent.partition, sent.offset))
            return told
        finally:
            await producer.stop()

    async def ends(self, topics: list[str]) -> dict[tuple[str, int], int]:
        """Where the topics end, by partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await consumer.start()
        try:
            partitions = [TopicPartition(self.prefix + topic, n) for topic in topics for n in range(PARTITIONS)]
            found = await consumer.end_offsets(partitions)
            return {(tp.topic.removeprefix(self.prefix), tp.partition): end for tp, end in found.items() if end}
        finally:
            await consumer.stop()

    async def named(self, started: Running) -> list[tuple[str, Forged]]:
        """(case, step) of every forgery, as soon as the service has judged all that is on its topics."""
        topics = written_by(started.runtime.service.name)

        async def judged() -> bool:
            database = started.runtime.database
            (unsent,) = await database.fetch("SELECT count(*) FROM unpublished")
            rows = await database.fetch("SELECT topic, partition, next FROM tail")
            read = {(row["topic"], row["partition"]): row["next"] for row in rows}
            return unsent["count"] == 0 and read == await self.ends(topics)

        await eventually(judged, seconds=60, every=0.2, what="everything on the service's own topics judged")
        return await steps(started)


async def steps(started: Running) -> list[tuple[str, Forged]]:
    rows = await started.runtime.database.fetch(
        "SELECT stream_id, body FROM events WHERE own AND topic = 'Progressed' ORDER BY recorded_at, version"
    )
    told = [(row["stream_id"], json.loads(row["body"])["data"]) for row in rows]
    return [(case, Forged.model_validate(data)) for case, data in told if data["step"] == "forged"]


async def counts(started: Running, number: int | None) -> bool:
    """Whether the service's health says that so many are forged."""
    return (await started.client.get("/health", headers=OPERATOR)).json()["tail"]["forged"] == number


def place(step: Forged) -> Place:
    return step.forged_topic, step.partition, step.offset


async def say(started: Running, case: str, *facts: Fact) -> None:
    """The service says these facts itself."""
    model = started.runtime.service.model
    assert isinstance(model, Model)

    async def run(transaction: Transaction) -> None:
        journal = Journal(model.source, model.decider, model.views, datetime.now(UTC))
        await journal.open(transaction.connection, [case])
        journal.append(case, facts, at=journal.now, actor="person:test")
        journal.write(transaction)

    await started.runtime.database.decide(run)


@pytest.fixture
async def stage(url: str, service: Service, kafka: str, topic_prefix: str, make_topics: Any, tmp_path: Path) -> Stage:
    await make_topics(topic_prefix, PARTITIONS, partners=("water",))
    file = tmp_path / "partners.json"
    file.write_text(Partners(partners=(PARTNER,)).model_dump_json())
    more = {"kafka": kafka, "prefix": topic_prefix, "CASEGRID_PARTNERS": file}
    return Stage(kafka, topic_prefix, file, lambda: running(service, url, **more))


@EACH
async def test_what_others_write_in_a_services_name_is_named_in_its_case_and_what_it_says_itself_is_not(
    stage: Stage, service: Service
) -> None:
    topics = written_by(service.name)
    cases = [case_id() for _ in topics]
    async with stage.start() as started:
        for case, topic in zip(cases, topics, strict=True):
            await say(started, case, fact_on(topic, case), SETTLED)
        false = [forged(service.name, topic, case) for case, topic in zip(cases, topics, strict=True)]
        places = await stage.put(*false, *(forged("audit", topic, case_id()) for topic in topics))
        found = await stage.named(started)
        assert sorted((case, place(step)) for case, step in found) == sorted(zip(cases, places, strict=False))
        assert {(step.event_id, step.because) for _, step in found} == {
            (json.loads(one.value or b"")["id"], "unknown") for one in false
        }
        assert (await started.client.get("/health", headers=OPERATOR)).json()["tail"] == {
            "fault": None,
            "forged": len(topics),
        }


@EACH
async def test_a_copy_of_a_genuine_record_in_other_words_is_found_and_a_true_duplicate_is_none(
    stage: Stage, service: Service
) -> None:
    case = case_id()
    async with stage.start() as started:
        await say(started, case, SETTLED)
        await stage.named(started)
        (row,) = await started.runtime.database.fetch("SELECT body FROM events WHERE own")
        again = record_of(row["body"], case, "Progressed")
        twisted = again._replace(value=row["body"].replace(b"mended", b"meddled"))
        elsewhere = again._replace(topic=written_by(service.name)[0])
        duplicates = [again._replace(partition=partition) for partition in range(PARTITIONS)]
        _, *places = await stage.put(
            *duplicates, *(twisted._replace(partition=n) for n in range(PARTITIONS)), elsewhere
        )
        found = await stage.named(started)
        assert sorted(place(step) for _, step in found) == sorted(places[PARTITIONS - 1 :])
        assert {(one, step.because) for one, step in found} == {(case, "altered")}


@TRIAGE
async def test_a_forgery_is_found_however_it_is_written_and_only_in_the_services_own_name(stage: Stage) -> None:
    case, other = case_id(), case_id()
    genuine = forged("triage", "Assigned", case)
    event = json.loads(genuine.value or b"")
    spaced = json.dumps(event).encode()
    escaped = (genuine.value or b"").replace(b'"/services/triage"', rb'"\/services\/tri\u0061ge"')
    bare = b'{"source": "/services/triage"}'
    false = [record_of(raw, case, "Assigned") for raw in (spaced, escaped, bare)]
    homeless = [record_of(spaced, None, "Assigned"), record_of(spaced, "nothing", "Assigned", key=b"\xff\x00")]
    no_claims = [record_of(raw, other, "Assigned") for raw in (b"", b"{", b"[]", b'{"source": 7}', b"{}", None)]
    no_claims.append(forged("dispatch", "Progressed", other))
    async with stage.start() as started:
        places = await stage.put(*false, *homeless, *no_claims)
        found = await stage.named(started)
        assert sorted(place(step) for _, step in found) == sorted(places[: len(false) + len(homeless)])
        of_case = {place(step): step.event_id for one, step in found if one == case}
        assert of_case == dict(zip(places, (event["id"], event["id"], None), strict=False))
        alone = [one for one, _ in found if one != case]
        assert len(set(alone)) == len(homeless), "each of them stands alone"


@TRIAGE
async def test_what_was_forged_while_the_service_was_down_is_named_once_at_its_start(stage: Stage) -> None:
    case = case_id()
    async with stage.start() as started:
        await stage.put(forged("triage", "Assigned", case))
        assert len(await stage.named(started)) == 1
    await stage.put(forged("triage", "Assigned", case), forged("triage", "Progressed", case))
    for _ in range(2):
        async with stage.start() as started:
            assert len(await stage.named(started)) == 3
            await eventually(lambda: counts(started, 3), what="the number in /health")


@TRIAGE
async def test_two_workers_of_a_service_name_each_forgery_once(stage: Stage) -> None:
    async with stage.start() as one, stage.start() as two:
        for _ in range(3):
            await stage.put(*(forged("triage", "Assigned", case_id()) for _ in range(10)))
            await stage.named(one)
        assert len(await stage.named(two)) == 30
        (leads,) = [each for each in (one, two) if each.runtime.deciding.relay.leads]
        await eventually(lambda: counts(leads, 30), what="the number in /health of the one that looks")
        assert await counts(one if leads is two else two, None)


@TRIAGE
async def test_a_position_that_the_broker_does_not_have_any_more_begins_at_the_earliest_there_is(
    stage: Stage, kafka: str
) -> None:
    async with stage.start() as started:
        await stage.put(*(forged("triage", "Assigned", case_id()) for _ in range(4)))
        assert len(await stage.named(started)) == 4
    await stage.put(*(forged("triage", "Assigned", case_id()) for _ in range(4)))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(f"{stage.prefix}Assigned", 0): RecordsToDelete(before_offset=6)})
    await admin.close()
    async with stage.start() as started:
        assert len(await stage.named(started)) == 6
        await started.runtime.database.fetch("UPDATE tail SET next = 1000 WHERE topic = 'Assigned'")
    async with stage.start() as started:  # as after a broker that lost its last records: read again, named before
        assert len(await stage.named(started)) == 6


@TRIAGE
async def test_thousands_are_named_in_bounded_transactions_and_few_of_them_in_one_case(stage: Stage) -> None:
    """As when an older backup of the store is restored: what it does not know is not its own."""
    case = case_id()
    await stage.put(*(forged("triage", "Assigned", case) for _ in range(150)))
    await stage.put(*(forged("triage", "Progressed", case_id()) for _ in range(2_000)))
    async with stage.start() as started:
        found = await stage.named(started)
        assert len({place(step) for _, step in found}) == len(found) == 2_150
        assert sum(one == case for one, _ in found) == 100
        (most,) = await started.runtime.database.fetch(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM forgeries GROUP BY named_at) t"
        )
        assert most["max"] <= 200
        assert (await started.client.get("/ready")).status_code == 200


@pytest.mark.parametrize("service", ["dispatch"], indirect=True)
async def test_the_notices_to_a_partner_are_read_from_its_registration_on(stage: Stage) -> None:
    known = stage.partners.read_text()
    stage.partners.write_text(Partners(partners=()).model_dump_json())
    places = await stage.put(forged("dispatch", "to.water", case_id()))
    async with stage.start() as started:
        await stage.put(forged("dispatch", "Resolved", case_id()))
        await eventually(lambda: steps(started), seconds=60, what="the forgery on the topic that is read")
        stage.partners.write_text(known)
        assert places[0] in [place(step) for _, step in await stage.named(started)]


@TRIAGE
async def test_a_worker_that_dies_before_it_commits_names_each_forgery_once(url: str, service: Service) -> None:
    model = service.model
    assert isinstance(model, Model)
    database = Mortal(url, "triage", size=4, migrations=service.migrations)
    await database.open()
    records = [forged("triage", "Assigned", case_id()) for _ in range(3)]
    try:
        for deaths in (1, 1, 0, 0):
            database.deaths = deaths
            judges = [Judge(model, database, wall_clock, Cache()) for _ in range(2)]
            await asyncio.gather(*(one.process(records) for one in judges), return_exceptions=True)
        (found,) = await database.fetch("SELECT count(*) FROM events WHERE own")
        assert found["count"] == len(records)
        rows = await database.fetch("SELECT topic, partition, next FROM tail")
        assert [tuple(row) for row in rows] == [("Assigned", 0, records[-1].offset + 1)]
    finally:
        await database.close()


@TRIAGE
async def test_a_record_that_cannot_be_decoded_stops_no_tail(stage: Stage) -> None:
    async with stage.start() as started:
        await stage.put(forged("audit", "Assigned", case_id()))
        raw = batch([record(0, b"{}", headers=[(b"\xff", b"")])])
        await put(stage.kafka, f"{stage.prefix}Assigned", 0, raw)
        await stage.put(forged("triage", "Assigned", case_id()))
        assert len(await stage.named(started)) == 1
        assert (await started.client.get("/ready")).status_code == 200

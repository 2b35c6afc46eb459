"""What a user would build otherwise: the three services do the same work, and what it costs is counted as it should."""

import ast
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console

from chassis.ids import uuid7
from contracts.fields import Place, Point
from contracts.homes import partner_source
from contracts.wire import parse
from deploy.bench import environment, figures, report
from deploy.bench.chain import PARTNER
from deploy.bench.chain import report as reported
from deploy.bench.peers import costs
from deploy.bench.peers.process import Process
from deploy.bench.peers.turn import Servers, Spent, check, spent
from deploy.simulation.partner import request
from deploy.stack.kafka import Kafka, administrator_of
from deploy.stack.problem import Problem
from tests.support.infrastructure import Database

SPOT = Place(point=Point(lat=30.6, lon=104.1))
REPORTS = [request(PARTNER, uuid7(datetime.now(UTC)), reported(SPOT, n))[1] for n in range(20)]
SMALL = costs.Size(warm=20, at_once=50, paced=10, rounds=1)
FOLDER = costs.LOCK.parent


def here(guarded_kafka: Kafka, database: Database, run: Path) -> Servers:
    folder = guarded_kafka.broker.passwords
    assert folder is not None
    return Servers(run, administrator_of(guarded_kafka.bootstrap, folder), database.admin_url, lambda _: None)


async def test_the_three_services_do_the_same_work_and_leave_nothing(
    guarded_kafka: Kafka, empty_database: Database, tmp_path: Path
) -> None:
    """Each publishes one record for each message and has stored each: `costs` fails otherwise."""
    (tmp_path / "kafka.pid").write_text(str(os.getpid()))
    found = await costs.costs(here(guarded_kafka, empty_database, tmp_path), REPORTS, SMALL)
    assert found.keys() == {"faststream_asyncpg", "faststream_outbox", "ours"}
    for one in found.values():
        for part, messages in ((one, SMALL.at_once), (one["paced"], SMALL.paced)):
            assert part["messages"] == messages
            assert part["messages_per_second"] > 0
            assert part["processes"].keys() == {"service", "kafka"}
            assert part["processes"]["service"] > 0
    connection = await asyncpg.connect(empty_database.admin_url)
    assert await connection.fetchval("SELECT to_regnamespace('bench') IS NULL")
    assert not await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = 'bench'")
    await connection.close()


async def test_a_service_that_does_not_store_what_it_publishes_is_a_problem(empty_database: Database) -> None:
    service = costs.services(Path("python"))[0]
    await service.prepare(empty_database.admin_url, {})
    await check(empty_database.admin_url, service, 0)
    with pytest.raises(Problem, match="faststream_asyncpg has stored 0 of 3 messages"):
        await check(empty_database.admin_url, service, 3)


async def test_a_service_that_ends_is_a_problem_with_its_last_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    command = (sys.executable, "-c", "raise SystemExit('no such package')")
    async with Process("a peer", command, os.environ, tmp_path / "log") as process:
        with pytest.raises(Problem, match=r"(?s)a peer ended instead of work:.*no such package"):
            await process.until(never, "work", 60)


def test_packages_that_cannot_be_had_are_a_problem_and_nothing_is_taken_for_made(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("faststream==0.7.8\n")  # without a hash
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(Problem, match="packages for peers could not be installed"):
            environment.programs(said.append, lock, "peers", tmp_path)
    assert len(said) == 2, "each try says that it fetches"


def test_the_messages_are_what_intake_publishes_each_of_a_case_of_its_own() -> None:
    found = costs.facts(REPORTS, 45)
    events = [parse("ReportFiled", raw) for _, raw in found]
    assert [key.decode() for key, _ in found] == [event.subject for event in events]
    assert len({event.subject for event in events}) == len({event.id for event in events}) == 45
    assert [event.data.title for event in events] == [f"cover {n % 20} tilted" for n in range(45)]
    assert events[0].source != partner_source(PARTNER)
    assert events[0].data.place == SPOT


def test_what_the_servers_spend_by_themselves_does_not_count() -> None:
    before, after = {"service": 1.0, "kafka": 10.0}, {"service": 2.0, "kafka": 11.0}
    assert spent(before, after, {"kafka": 0.05}, 10) == {"service": 1.0, "kafka": pytest.approx(0.5)}
    assert spent(before, after, {"kafka": 0.5}, 10)["kafka"] == 0.0


def test_turns_are_added_before_they_are_divided() -> None:
    both = Spent(100, 1.0, {"service": 0.1, "kafka": 0.1}) + Spent(300, 1.0, {"service": 0.2})
    assert both.figures() == {
        "messages": 400,
        "messages_per_second": 200.0,
        "cpu_us_per_message": pytest.approx(1_000.0),
        "processes": {"service": pytest.approx(750.0), "kafka": pytest.approx(250.0)},
    }


def measured(cpu_us: float) -> dict[str, object]:
    one = {"messages_per_second": 100.0, "cpu_us_per_message": cpu_us, "processes": {"service": cpu_us}}
    return {**one, "paced": {**one, "cpu_us_per_message": 3 * cpu_us, "offered_per_second": 50}}


def test_peers_are_multiples_of_ours_and_are_printed_so() -> None:
    found = figures.beside_ours({"faststream_asyncpg": measured(3_000.0), "ours": measured(200.0)})
    assert found["ratios"] == {
        "faststream_asyncpg / ours": pytest.approx(15.0),
        "faststream_asyncpg / ours, paced": pytest.approx(15.0),
    }
    console = Console(record=True, width=160)
    console.print(report.peer_table(found))
    line = next(line for line in console.export_text().splitlines() if "faststream_asyncpg" in line)
    assert [text for text in re.split(r"[^\w.]+", line) if text] == [
        *("faststream_asyncpg", "100", "3000", "3000", "0", "0", "15.0")
    ]


def test_what_the_peers_import_is_in_their_requirements() -> None:
    """They have an environment of their own; the project's packages are not there."""
    asked = {re.split(r"[\[\s]", line)[0] for line in (FOLDER / "requirements.in").read_text().splitlines()} - {"#", ""}
    for name in ("contract", "faststream_service", "outbox_service"):
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text())):
            modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                first = module.partition(".")[0].replace("_", "-")
                known = {*asked, *sys.stdlib_module_names}
                assert first in known or module == "deploy.bench.peers", f"{name}.py imports {module}"
    locked = set(re.findall(r"^([\w.-]+)==", (FOLDER / "requirements.lock").read_text(), re.MULTILINE))
    assert asked <= locked

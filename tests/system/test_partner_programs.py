"""The partner's program in the documentation works as it stands, in both languages, against the five services."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from contracts.reference import Partner
from deploy.district.__main__ import main as write_district
from deploy.lint import node_tools
from deploy.stack import accounts, topics
from deploy.stack.kafka import Kafka
from tests.support.fleet import ROOT, SERVICES, Fleet
from tests.support.infrastructure import Database, passwords, service_connections
from tests.system.bus import register

PROGRAMS = ROOT / "docs" / "partner"
DRAINAGE = Partner(id="drainage", name="Drainage office", says=("reports", "steps"), units=("dept:drainage",))


@asynccontextmanager
async def stack(database: Database, kafka: Kafka, prefix: str, folder: Path) -> AsyncIterator[dict[str, str]]:
    """The five services; what a partner's program is told of them."""
    district = folder / "district" / "full"
    assert write_district(["--scale", "full", "--out", str(district)]) == 0
    register(district, DRAINAGE)
    databases = {name: database.url(name) for name in SERVICES}
    broker = kafka.administrator
    await topics.create(broker, topics.of_installation([DRAINAGE.id], prefix), 3)
    await accounts.settle(broker, prefix, [DRAINAGE.id], passwords(kafka.data_dir.parent))
    password = await accounts.renew(broker, prefix, DRAINAGE.id)
    assert password is not None
    services = service_connections(kafka, prefix)
    async with Fleet(databases=databases, kafka=services, prefix=prefix, district=district, logs=folder) as fleet:
        await fleet.ready()
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "PARTNER_PASSWORD": password,
            "CASEGRID_TOPIC_PREFIX": prefix,
        }


async def run(environment: dict[str, str], folder: Path, *command: str) -> str:
    """What a program prints before it ends by itself."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), 90)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.mark.timeout(300)
async def test_both_end_with_their_own_case_closed_and_their_own_assignment_resolved(
    database: Database, guarded_kafka: Kafka, topic_prefix: str, tmp_path: Path
) -> None:
    node, modules = node_tools()
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "partner.mjs").write_text((PROGRAMS / "partner.mjs").read_text())
    async with stack(database, guarded_kafka, topic_prefix, tmp_path) as environment:
        in_python = await run(environment, tmp_path, sys.executable, "-I", str(PROGRAMS / "partner.py"))
        in_javascript = await run(environment, tmp_path, node, "partner.mjs")
        connection = await asyncpg.connect(database.admin_url)
        try:
            for printed in (in_python, in_javascript):
                case = printed.splitlines()[-1].partition(" ")[0]
                assert printed.endswith(f"{case} is closed as fixed\n")
                assert "refused" not in printed
                rows = await connection.fetch(
                    "SELECT outcome, late_by_seconds FROM feedback.cases WHERE case_id = $1", case
                )
                assert [tuple(row) for row in rows] == [("fixed", 0)]
                handlers = await connection.fetchval("SELECT handlers FROM feedback.cases WHERE case_id = $1", case)
                assert "drainage:crew-3" in handlers
        finally:
            await connection.close()


@pytest.mark.parametrize("program", ["partner.py", "partner.mjs"])
def test_each_is_less_than_sixty_lines(program: str) -> None:
    assert len((PROGRAMS / program).read_text().splitlines()) < 60

"""The demo's scenario, as `make demo` plays it: it ends as fixed and complete, and every rebuild is equal."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from rich.console import Console

from contracts.wire import TOPICS
from deploy.demo.__main__ import RATE, STARTS, cast, system_of
from deploy.demo.clock import Stage
from deploy.demo.scenario import PARTNERS, Scenario
from deploy.demo.trace import Trace
from deploy.demo.verdict import judge
from deploy.partners import Installation
from deploy.simulation.city import Addresses, City
from deploy.stack import accounts, topics
from deploy.stack.kafka import Kafka
from deploy.stack.postgres import Postgres
from deploy.stack.provision import with_database
from deploy.stack.secrets import keys_file, load
from tests.support.fleet import ROOT, SERVICES, Fleet
from tests.support.infrastructure import PASSWORD, execute, migrate_services, passwords, service_connections


async def rebuild(service: str, database: str, district: Path) -> list[str]:
    """What the command says of each table, while the service runs."""
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{service}", "rebuild"),
        env={**os.environ, "DATABASE_URL": database, "CASEGRID_DISTRICT": str(district)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    said, _ = await done.communicate()
    assert done.returncode == 0
    return said.decode().splitlines()


@pytest.mark.timeout(300)
async def test_the_burst_main_ends_as_fixed_and_audited(
    own_guarded_kafka: Kafka, own_postgres: Postgres, district: Path, tmp_path: Path
) -> None:
    await execute(own_postgres.url, "CREATE DATABASE casegrid")
    await migrate_services(with_database(own_postgres.url, "casegrid"))
    broker = own_guarded_kafka.administrator
    await topics.create(broker, TOPICS, 3)
    await accounts.settle(broker, "", (), passwords(own_guarded_kafka.data_dir.parent))
    databases = {name: with_database(own_postgres.url, "casegrid", (name, PASSWORD)) for name in SERVICES}
    installation = Installation(district.parent / "partners.json", district, broker)
    partners = {wanted.id: await system_of(installation, wanted) for wanted in PARTNERS}
    clock = tmp_path / "clock.json"
    token_key = load(tmp_path).token_key
    fleet = Fleet(
        databases=databases,
        kafka=service_connections(own_guarded_kafka),
        prefix="",
        district=district,
        logs=tmp_path,
        CASEGRID_CLOCK_FILE=str(clock),
        CASEGRID_JWKS=str(keys_file(tmp_path)),
    )
    addresses = Addresses(broker, {name: fleet.url(name) for name in SERVICES}, token_key)
    async with fleet, AsyncExitStack() as stack:
        console = Console(file=stack.enter_context((tmp_path / "demo.txt").open("w")), width=160)
        await fleet.ready()
        stage = Stage(clock, STARTS, RATE)
        stack.callback(stage.close)
        city = await stack.enter_async_context(City(addresses))
        trace = await stack.enter_async_context(Trace(city.broker, console))
        others = await stack.enter_async_context(cast(partners, stage))
        play = await Scenario(city, stage, trace, others, district).perform()
        found = await judge(city, play, console)
        rebuilt = {name: await rebuild(name, databases[name], district) for name in SERVICES}
    assert found.faults == []
    assert (found.summary["outcome"], found.summary["merged"]) == ("fixed", 17)
    assert "check.separation" in found.summary["refused"][0]
    for name, tables in rebuilt.items():
        assert tables, name
        assert all(line.endswith(", equal") for line in tables), tables

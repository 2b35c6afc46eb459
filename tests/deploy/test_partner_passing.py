"""A partner that is registered only while a program runs: away afterwards, even where the program was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.bench.chain import PARTNER, UNIT
from deploy.district.__main__ import main as write_district
from deploy.partners import Installation, Wanted, clear, passing, read, register
from deploy.stack import accounts, limits, topics
from deploy.stack.kafka import Kafka
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT
from tests.deploy.stacks import stack_in
from tests.support.infrastructure import passwords

BENCH = Wanted(PARTNER, says=("reports", "steps"), units=(UNIT,), name="Benchmark")
WAITS = """
import asyncio
from deploy.partners import Installation, passing
from deploy.stack.plan import from_environment
from tests.deploy.test_partner_passing import BENCH

async def main():
    async with passing(Installation.of(from_environment()), BENCH):
        print("registered", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
"""A benchmark that does not end."""


@pytest.fixture
async def installation(own_guarded_kafka: Kafka, tmp_path: Path) -> Installation:
    assert write_district(["--scale", "tiny", "--out", str(tmp_path / "tiny")]) == 0
    broker = own_guarded_kafka.administrator
    await topics.create(broker, topics.of_installation(()), 1)
    await accounts.settle(broker, "", (), passwords(own_guarded_kafka.data_dir.parent))
    return Installation(tmp_path / "partners.json", tmp_path / "tiny", broker)


async def test_it_is_there_for_its_units_alone_and_then_gone_with_its_user(installation: Installation) -> None:
    await register(installation, Wanted("fire", says=("steps",), units=("dept:fire",)))
    async with passing(installation, BENCH) as user:
        entry = read(installation.partners).by_id[PARTNER]
        assert (entry.units, entry.says) == ((UNIT,), ("reports", "steps"))
        assert await user.refusal() is None
        assert (await limits.quotas(installation.broker)).keys() == {"partner.fire"}, "it is to measure, not to wait"
        assert clear(installation.partners) == [], "it is alive"
        with pytest.raises(Problem, match=f"process {os.getpid()} has the partner bench registered"):
            async with passing(installation, BENCH):
                pass
        assert await user.refusal() is None
    with pytest.raises(ZeroDivisionError):
        async with passing(installation, BENCH):
            raise ZeroDivisionError
    found = read(installation.partners)
    assert [one.id for one in found.partners if one.says] == ["fire"]
    assert "no user partner.bench" in (await user.refusal() or "")
    assert sorted(path.name for path in installation.partners.parent.glob(".*passing*")) == []


def test_one_that_was_killed_is_cleared_away_by_the_next_up(tmp_path: Path) -> None:
    with stack_in(tmp_path / "stack") as stack:
        assert write_district(["--scale", "tiny", "--out", str(stack.folder / "district" / "tiny")]) == 0
        assert stack.run("up", "--only", "kafka").returncode == 0
        assert stack.run("add", "--units=dept:fire", "--says=steps", "fire", module="deploy.partners").returncode == 0
        command = (sys.executable, "-c", WAITS)
        program = subprocess.Popen(command, cwd=ROOT, env=stack.environment, stdout=subprocess.PIPE, text=True)
        assert program.stdout is not None
        file = stack.folder / "district" / "partners.json"
        try:
            assert program.stdout.readline() == "registered\n"
            assert "bench" not in stack.run("up", "--only", "kafka").stdout
            assert read(file).by_id[PARTNER].says, "one that is alive stays"
        finally:
            program.send_signal(signal.SIGKILL)
            program.wait()
            program.stdout.close()
        said = stack.run("up", "--only", "kafka").stdout
        assert "the partner bench is registered no longer: its program was ended before it could do that" in said
        assert read(file).by_unit.keys() == {"dept:fire"}
        assert "bench" not in stack.run("up", "--only", "kafka").stdout
        assert stack.run("list", module="deploy.partners").stdout.splitlines() == [
            "fire (fire): says steps for dept:fire; writes 262,144 bytes a second, reads 2,097,152, takes 50 % of a"
            " thread of the broker at most",
            "bench (Benchmark): registered no longer",
        ]
        assert stack.run("down").returncode == 0
        listed = stack.run("list", module="deploy.partners")
        assert listed.stdout.startswith("fire (fire): says steps for dept:fire\n")
        assert "what the broker takes from each is not known: the broker at" in listed.stderr

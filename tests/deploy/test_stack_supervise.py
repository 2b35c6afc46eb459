"""The process manager restarts what dies, and `down` leaves nothing, however the manager itself ended."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, patch

import pytest
from supervisor.states import ProcessStates, SupervisorStates

from deploy.stack import identity, manager, ports, readiness, secrets
from deploy.stack.plan import Plan, from_environment
from deploy.stack.problem import Problem
from deploy.stack.process import Specification
from deploy.stack.supervise import Supervisor
from tests.deploy.waiting import until
from tests.support.services import eventually

# Stand-ins for the real programs: what is tested is who starts, watches and ends them.
SLEEPS = (sys.executable, "-c", "import time; time.sleep(600)")
FAILS = (sys.executable, "-c", "raise SystemExit('no such setting')")
PROGRAMS = (Specification("postgres", SLEEPS), Specification("kafka", SLEEPS), Specification("intake", SLEEPS))
NAMES = ("supervisord", "postgres", "kafka", "intake")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    environment = {"CASEGRID_DATA": str(tmp_path), "INTAKE_PORT": str(ports.free())}
    return from_environment(environment, only="postgres,kafka,intake")


@pytest.fixture
async def supervisor(plan: Plan) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(plan)
    yield supervisor
    await supervisor.end()


async def pid_of(supervisor: Supervisor, name: str, other_than: int | None = None) -> int:
    async def found() -> int | None:
        pid = identity.noted(supervisor.plan.run, name)
        return pid if pid != other_than else None

    pid = await eventually(found, what=f"a process noted as {name}")
    assert pid is not None
    return pid


async def all_started(supervisor: Supervisor) -> dict[str, int]:
    await supervisor.apply(PROGRAMS)
    await supervisor.start(["intake"])
    return {name: await pid_of(supervisor, name) for name in NAMES}


async def test_a_service_waits_for_its_start_while_the_infrastructure_runs_at_once(supervisor: Supervisor) -> None:
    await supervisor.apply(PROGRAMS)
    await pid_of(supervisor, "kafka")
    assert not (await supervisor.states())["intake"].running
    assert identity.noted(supervisor.plan.run, "intake") is None


async def test_what_is_killed_is_started_again_and_its_pid_file_follows(supervisor: Supervisor) -> None:
    pids = await all_started(supervisor)

    async def running_for_a_while() -> bool:  # before, its end would count as a failed start
        return "uptime" in (await supervisor.states())["intake"].description

    await eventually(running_for_a_while)
    os.kill(pids["intake"], signal.SIGKILL)
    again = await pid_of(supervisor, "intake", other_than=pids["intake"])
    assert int((supervisor.plan.run / "intake.pid").read_text()) == again


async def test_only_what_changed_is_started_again(supervisor: Supervisor) -> None:
    pids = await all_started(supervisor)
    changed = replace(PROGRAMS[1], environment={"NEW": "1"})
    assert await supervisor.apply((PROGRAMS[0], changed, PROGRAMS[2])) == ["kafka"]
    await pid_of(supervisor, "kafka", other_than=pids["kafka"])
    assert {name: identity.noted(supervisor.plan.run, name) for name in NAMES if name != "kafka"} == {
        name: pid for name, pid in pids.items() if name != "kafka"
    }


async def test_end_ends_everything(supervisor: Supervisor) -> None:
    pids = await all_started(supervisor)
    assert set(await supervisor.end()) == set(NAMES)
    assert {name: identity.of(pid) for name, pid in pids.items()} == dict.fromkeys(NAMES)
    assert not list(supervisor.plan.run.glob("*.pid"))
    assert await supervisor.end() == []


async def test_end_leaves_nothing_after_the_manager_was_killed(supervisor: Supervisor) -> None:
    pids = await all_started(supervisor)
    os.kill(pids["supervisord"], signal.SIGKILL)
    await supervisor.end()
    assert {name: identity.of(pid) for name, pid in pids.items()} == dict.fromkeys(NAMES)


async def test_a_killed_managers_stack_starts_again(supervisor: Supervisor) -> None:
    before = await all_started(supervisor)
    os.kill(before["supervisord"], signal.SIGKILL)
    await until(lambda: not supervisor.alive())
    await supervisor.end()
    after = await all_started(supervisor)
    assert not set(before.values()) & set(after.values())


async def test_end_does_not_wait_for_what_keeps_failing(supervisor: Supervisor) -> None:
    await supervisor.apply((*PROGRAMS[:2], Specification("intake", FAILS)))
    await supervisor.start(["intake"])
    await until(lambda: "no such setting" in supervisor.plan.log("intake").read_text(), "the first failure")
    await supervisor.end()
    assert not supervisor.alive()


def test_a_program_that_keeps_failing_is_started_for_ever_and_never_waits_long() -> None:
    """For a day of a full disk, with starts that end at once."""
    options = SimpleNamespace(logger=Mock(), mood=SupervisorStates.RUNNING)
    config = SimpleNamespace(name="kafka", options=options, startsecs=3, startretries=manager.NEVER, autorestart=True)
    program: Any = manager.Patient(config)
    program.group = Mock()
    passed, starts, spawned = time.time(), list[float](), False

    def spawn() -> None:
        nonlocal spawned
        spawned = True

    program.spawn = spawn
    with patch("time.time", lambda: passed):
        program.state = ProcessStates.STARTING
        until = passed + 86_400
        while passed < until:
            program.change_state(ProcessStates.BACKOFF)
            spawned = False
            while not spawned:
                passed += 1
                program.transition()
                assert program.state == ProcessStates.BACKOFF, "it is not given up"
            starts.append(passed)
            program.state = ProcessStates.STARTING
    assert starts[1] - starts[0] <= 4, "the first ones follow soon"
    assert max(b - a for a, b in pairwise(starts)) <= 17


async def test_a_program_that_does_not_stay_up_is_named_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    secrets.load(supervisor.plan.run)
    await supervisor.apply((*PROGRAMS[:2], Specification("intake", FAILS)))
    await supervisor.start(["intake"])
    with pytest.raises(Problem, match=r"intake does not stay up: no such setting\n.*\n  no such setting"):
        await readiness.services(supervisor.plan, supervisor)


async def test_what_waits_after_failures_is_started_at_once(supervisor: Supervisor, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    program = f"import pathlib, time; pathlib.Path({str(mended)!r}).stat(); time.sleep(600)"
    await supervisor.apply((Specification("kafka", (sys.executable, "-c", program)),))

    async def failing() -> bool:
        return (await supervisor.states())["kafka"].failing

    await eventually(failing, what="a failed start")
    mended.touch()
    await supervisor.start(["kafka"])
    assert not await failing()
    await pid_of(supervisor, "kafka")


async def test_a_variable_that_is_no_longer_set_does_not_come_from_the_manager(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASEGRID_BATCH", "7")
    tells = (sys.executable, "-c", "import os, time; print(os.environ.get('CASEGRID_BATCH')); time.sleep(600)")
    environment = {"PYTHONUNBUFFERED": "1"}
    await supervisor.apply((Specification("kafka", tells, environment={**environment, "CASEGRID_BATCH": "7"}),))
    log = supervisor.plan.log("kafka")
    await until(lambda: log.exists() and log.read_text() == "7\n")
    await supervisor.apply((Specification("kafka", tells, environment=environment),))
    await until(lambda: log.read_text() == "7\nNone\n", f"a second life without it in {log}")


async def test_a_folder_with_a_long_and_odd_name_will_do(tmp_path: Path) -> None:
    supervisor = Supervisor(from_environment({"CASEGRID_DATA": str(tmp_path / "a 'b' (c)" / ("long" * 30))}))
    await all_started(supervisor)
    await supervisor.end()
    assert not list(supervisor.plan.run.glob("*.pid"))


async def test_a_folder_the_manager_can_not_take_is_named(tmp_path: Path) -> None:
    supervisor = Supervisor(from_environment({"CASEGRID_DATA": str(tmp_path / "100%")}))
    with pytest.raises(Problem, match=r"100%.* has % in its name"):
        await supervisor.apply(PROGRAMS)

"""A process of the stack is recognised again, and only that one is ever ended."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.stack import identity
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT, Child, Specification, end_noted
from tests.deploy.waiting import until

SLEEPS = (sys.executable, "-c", "import time; time.sleep(600)")


def begin(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT)


async def test_a_noted_process_is_found_and_ended(tmp_path: Path) -> None:
    child = Child(tmp_path, tmp_path / "log")
    child.start(Specification("sleeper", SLEEPS))
    await until(lambda: identity.noted(tmp_path, "sleeper") == child.pid)
    assert int((tmp_path / "sleeper.pid").read_text()) == child.pid

    assert await end_noted(tmp_path, "sleeper", signal.SIGTERM)

    assert child.pid is None
    assert not (tmp_path / "sleeper.pid").exists()
    await child.end(signal.SIGTERM)


async def test_another_process_that_got_the_same_id_is_left_alone(tmp_path: Path) -> None:
    bystander = begin(*SLEEPS)
    try:
        began = identity.of(bystander.pid)
        assert began is not None
        boot, ticks = began.rsplit(" ", 1)
        (tmp_path / "kafka.identity").write_text(f"{bystander.pid} {boot} {int(ticks) - 1}\n")
        (tmp_path / "kafka.pid").write_text(f"{bystander.pid}\n")

        assert not await end_noted(tmp_path, "kafka", signal.SIGKILL)

        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_process_of_before_a_reboot_is_left_alone(tmp_path: Path) -> None:
    began = identity.of(os.getpid())
    assert began is not None
    (tmp_path / "kafka.identity").write_text(f"{os.getpid()} another-boot {began.rsplit(' ', 1)[1]}\n")
    assert identity.noted(tmp_path, "kafka") is None


async def test_a_process_that_ended_but_was_not_waited_for_counts_as_none() -> None:
    child = begin(sys.executable, "-c", "")
    await until(lambda: identity.of(child.pid) is None)
    child.wait()


async def test_what_does_not_end_when_asked_is_killed_with_its_children(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    child = Child(tmp_path, log)
    child.start(Specification("stubborn", (sys.executable, "-c", stubborn)))
    await until(lambda: log.exists() and log.read_text().strip().isdigit())

    await child.end(signal.SIGTERM, grace_seconds=0.2)

    assert child.pid is None
    assert identity.of(int(log.read_text())) is None


async def test_the_program_gets_folder_environment_and_nobody_elses_eyes_on_its_specification(tmp_path: Path) -> None:
    says = (sys.executable, "-c", "import os; print(os.getcwd(), os.environ['ANSWER'])")
    child = Child(tmp_path, tmp_path / "log")
    child.start(Specification("speaker", says, directory=tmp_path, environment={"ANSWER": "42"}))
    await until(lambda: child.pid is None)
    assert (tmp_path / "log").read_text() == f"{tmp_path} 42\n"
    assert stat.S_IMODE((tmp_path / "speaker.json").stat().st_mode) == 0o600
    with pytest.raises(Problem, match=f"speaker ended with status 0; the end of {tmp_path}/log"):
        child.check_alive("speaker")
    await child.end(signal.SIGTERM)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent died")
async def test_kill_9_of_the_parent_leaves_nothing_behind(tmp_path: Path) -> None:
    starts_one = (
        "import sys, time; from pathlib import Path; from deploy.stack.process import Child, Specification; "
        "folder = Path(sys.argv[1]); sleeps = 'import time; print(1, flush=True); time.sleep(600)'; "
        "Child(folder, folder / 'log').start(Specification('orphan', (sys.executable, '-c', sleeps))); time.sleep(600)"
    )
    parent = begin(sys.executable, "-c", starts_one, str(tmp_path))
    log = tmp_path / "log"
    await until(lambda: log.exists() and log.read_text() == "1\n")
    orphan = identity.noted(tmp_path, "orphan")
    assert orphan is not None

    parent.kill()
    parent.wait()

    await until(lambda: identity.of(orphan) is None)

"""A flame graph for each service; where none can be drawn it is said, and nothing is left running."""

import sys
from pathlib import Path

import pytest

from contracts.status import SERVICES
from deploy.bench.flames import Flames
from tests.support.services import eventually

RECORDER = """#!{python}
import signal, sys
from pathlib import Path
def draw(*_):
    Path(sys.argv[sys.argv.index("--output") + 1]).write_text(sys.argv[sys.argv.index("--pid") + 1])
    sys.exit(0)
signal.signal(signal.SIGINT, draw)
{then}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for number, name in enumerate(SERVICES):
        (tmp_path / f"{name}.pid").write_text(f"{1000 + number}\n")
    return tmp_path


def recorder(folder: Path, then: str) -> Path:
    program = folder / "py-spy"
    program.write_text(RECORDER.format(python=sys.executable, then=then))
    program.chmod(0o755)
    return program


async def test_each_service_is_recorded_from_entering_to_leaving(run: Path) -> None:
    said: list[str] = []
    program = recorder(run, "print('ready', flush=True); signal.pause()")
    async with Flames(run, run / "flames", said.append, program):
        await until_said(run, "ready")
    drawn = {one.stem: one.read_text() for one in (run / "flames").iterdir()}
    assert drawn == {name: f"{1000 + number}" for number, name in enumerate(SERVICES)}
    assert said == []


async def test_without_the_right_it_is_said_of_each_service_and_the_benchmark_goes_on(run: Path) -> None:
    said: list[str] = []
    async with Flames(run, run / "flames", said.append, recorder(run, "sys.exit('Permission denied')")):
        await until_said(run, "Permission denied")
    assert [name for name in SERVICES if any(f"could not look into {name}:\n" in words for words in said)] == [
        *SERVICES
    ]
    assert "Permission denied" in said[0]


async def test_who_was_begun_is_ended_where_a_service_is_not_there(run: Path) -> None:
    said: list[str] = []
    (run / f"{SERVICES[-1]}.pid").unlink()
    program = recorder(run, "print('ready', flush=True); signal.pause()")
    async with Flames(run, run / "flames", said.append, program):
        await until_said(run, "ready")
    assert len([*(run / "flames").glob("*.svg")]) == len(SERVICES) - 1
    assert "not all services are drawn" in said[0]


async def until_said(run: Path, words: str) -> None:
    logs = run / "flames"

    async def said() -> bool:
        found = [*logs.glob("*.log")]
        return bool(found) and all(words in one.read_text() for one in found)

    await eventually(said, what=words)

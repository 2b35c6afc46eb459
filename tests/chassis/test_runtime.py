"""What becomes of a process when a part of its worker fails: its API goes on, and the part is started again."""

from dataclasses import replace

import pytest

from chassis.web.requests import Process
from tests.support.services import eventually, running
from tests.support.tally import TALLY


async def test_a_part_of_the_worker_that_fails_ends_no_api_and_starts_again(
    tally_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    starts: list[int] = []

    async def task(_: Process) -> None:
        starts.append(len(starts))
        raise RuntimeError("something unforeseen")

    service = replace(TALLY, tasks=(task,))
    async with running(service, tally_database) as found:

        async def started_again() -> bool:
            return len(starts) > 3

        await eventually(started_again, what="the part is started again")
        assert not found.runtime.has_failed
        assert (await found.client.get("/health")).status_code == 200

        async def named() -> bool:
            return (await found.runtime.faults()).get("task") == "RuntimeError; the log has the details"

        await eventually(named, what="the fault in readiness")
    assert "task failed; it starts again" in caplog.text

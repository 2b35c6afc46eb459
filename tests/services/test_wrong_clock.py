"""A process whose machine has a wrong clock: every service says so, dates nothing by it, and recovers by itself."""

from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from chassis import runtime as runtime_module
from chassis.clock import WitnessedClock, wall_clock
from chassis.engine.commands import CommandRequest
from chassis.engine.inbox import Inbox
from chassis.retry import NotNow
from chassis.settings import Settings
from chassis.store.migrations import migrate
from contracts.status import SERVICES
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Running, eventually, running, token
from tests.support.tally import MODEL, TALLY, Note

DAY = timedelta(days=1)
MINUTES = timedelta(minutes=10)
OPERATOR = token("ops", "administrator")


class Wrong:
    """The machine's clock with an error."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        return wall_clock() + self.by


async def is_ready(service: Running) -> bool:
    return (await service.client.get("/ready")).status_code == 200


@pytest.mark.parametrize("name", SERVICES)
async def test_every_service_says_that_its_clock_is_wrong_and_goes_on_by_the_time_that_has_passed(
    name: str, empty_database: Database, district_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "_CLOCK_SECONDS", 0.05)
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    service = import_module(f"services.{name}.service").build(settings)
    await migrate(empty_database.admin_url, name, PASSWORD, service.migrations)
    machine = Wrong()
    clock = WitnessedClock(machine)
    async with running(service, empty_database.url(name), role="api", clock=clock) as found:
        for by in (DAY, -MINUTES):
            await eventually(lambda: is_ready(found), what="readiness")
            machine.by = by
            answer = await found.client.get("/ready", headers=OPERATOR)
            assert (answer.status_code, [*answer.json()["parts"]]) == (503, ["clock"])
            assert "clock" in (await found.client.get("/health", headers=OPERATOR)).json()["clock_fault"]
            assert abs(clock() - wall_clock()) < timedelta(seconds=5)
            machine.by = timedelta(0)
        await eventually(lambda: is_ready(found), what="the clock is right again")
        assert (await found.client.get("/health", headers=OPERATOR)).json()["clock_fault"] is None


async def test_a_worker_a_day_ahead_decides_no_deadline_and_dates_commands_rightly(
    kafka: str, topics: str, tally_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "_CLOCK_SECONDS", 0.05)
    machine, case, looks = Wrong(), case_id(), 0
    clock = WitnessedClock(machine)
    async with running(TALLY, tally_database, kafka=kafka, prefix=topics, clock=clock) as tally:
        database = tally.runtime.database
        await Inbox(MODEL, database, clock).process([fact_record(case, report(category="timed"), time=clock())])
        await eventually(lambda: is_ready(tally), what="readiness")
        due, timers = "UPDATE streams SET due_at = now() + interval '1 hour'", tally.runtime.deciding.timers
        machine.by = DAY
        answer = await tally.client.get("/ready", headers=OPERATOR)
        assert answer.status_code == 503
        assert [*answer.json()["parts"]] == ["clock"]
        await database.fetch(due)
        ask = timers._anything

        async def counted() -> bool:
            nonlocal looks
            looks += 1
            return await ask()

        async def looked() -> bool:
            return looks > 3

        monkeypatch.setattr(timers, "_anything", counted)
        await eventually(looked, what="deadlines are looked for")
        said = await tally.client.post(f"/cases/{case}/notes", json={"text": "seen"}, headers=OPERATOR)
        assert said.status_code == 201
        told = await database.fetch("SELECT convert_from(body, 'UTF8')::jsonb ->> 'time' AS at FROM events WHERE own")
        assert len(told) == 2, "a note on the report, and one on the command: no deadline"
        assert all(abs(datetime.fromisoformat(row["at"]) - wall_clock()) < MINUTES for row in told)
        assert "clock_fault" in (await tally.client.get("/health", headers=OPERATOR)).text
        machine.by = timedelta(0)
        await eventually(lambda: is_ready(tally), what="the clock is right again")


async def test_nothing_is_dated_by_a_process_that_starts_with_a_wrong_clock(
    tally_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "_CLOCK_SECONDS", 0.05)
    machine, case = Wrong(), case_id()
    machine.by = -MINUTES
    async with running(TALLY, tally_database, role="api", clock=WitnessedClock(machine)) as tally:
        answer = await tally.client.post(f"/cases/{case}/notes", json={"text": "seen"}, headers=OPERATOR)
        assert answer.status_code == 503
        assert answer.json()["cause"].startswith("the time is not known: the machine's clock and the database's differ")
        assert (await tally.client.get("/health", headers=OPERATOR)).status_code == 200
        with pytest.raises(NotNow):
            await tally.runtime.commands.execute(case, Note("seen"), CommandRequest(), lambda *_: (200, None))
        machine.by = timedelta(0)
        await eventually(lambda: is_ready(tally), what="the clock is right")

"""The registry of partners: a file that is read again when it changes, and whose faults do no harm."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis import registry as registry_file
from chassis.registry import Registry
from chassis.settings import Settings
from chassis.web.errors import Unauthenticated
from chassis.web.identity import Identity
from contracts.reference import Partner, Partners
from tests.support.facts import case_id, fact_record, report
from tests.support.services import Running, eventually, running, token
from tests.support.tally import TALLY


def written(file: Path, *entries: Partner) -> None:
    file.write_text(Partners(partners=entries).model_dump_json())


WATER = Partner(
    id="water",
    name="Water",
    says=("steps",),
    units=("dept:water",),
    client_key_sha256=hashlib.sha256(b"secret").hexdigest(),
)
FIRE = Partner(id="fire", name="Fire", says=("reports",))
LONG_AGO = datetime(2026, 1, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_file, "_LOOK_SECONDS", 0.0)


def test_without_a_file_nobody_is_registered(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "partners.json")
    assert registry.partners.partners == ()
    assert registry.topics(("Assigned", "from.*")) == ("Assigned",)


def test_a_change_is_seen_and_so_are_the_topics(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    written(file, WATER)
    registry = Registry(file)
    assert registry.topics(("Assigned", "from.*")) == ("Assigned", "from.water")
    written(file, WATER, FIRE)
    assert registry.topics(("from.*", "to.*")) == ("from.water", "from.fire", "to.water", "to.fire")
    file.unlink()
    assert registry.partners.by_id.keys() == {"water", "fire"}
    assert "cannot be read" in (registry.fault or "")


def test_an_installation_without_the_file_has_no_partners_and_no_fault(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "partners.json")
    assert (registry.partners.partners, registry.fault) == ((), None)


@pytest.mark.parametrize("rubbish", ["", "{", '{"partners": [{"id": "A B"}]}', '{"partners": 7}'])
def test_a_file_that_cannot_be_read_leaves_the_version_before_it_in_force(tmp_path: Path, rubbish: str) -> None:
    file = tmp_path / "partners.json"
    written(file, WATER)
    registry = Registry(file)
    assert registry.partners.by_id.keys() == {"water"}
    file.write_text(rubbish)
    assert registry.partners.by_id.keys() == {"water"}
    assert registry.fault is not None
    written(file, FIRE)
    assert registry.partners.by_id.keys() == {"fire"}
    assert registry.fault is None


def test_a_file_that_was_away_and_comes_back_as_it_was_is_no_fault_any_more(tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "partners.json", tmp_path / "elsewhere"
    written(file, WATER)
    registry = Registry(file)
    assert registry.partners.by_id.keys() == {"water"}
    file.rename(elsewhere)
    assert registry.partners.by_id.keys() == {"water"}
    assert registry.fault is not None
    elsewhere.rename(file)
    assert registry.partners.by_id.keys() == {"water"}
    assert registry.fault is None


@pytest.mark.parametrize("name", ["partner", "member", "reporter", "staff", "clock"])
def test_a_partner_cannot_be_named_so_that_its_people_look_like_others(name: str) -> None:
    with pytest.raises(ValueError, match="facts name people and partners that way"):
        Partner(id=name, name=name, says=("reports",))


def test_two_partners_cannot_answer_for_one_unit() -> None:
    with pytest.raises(ValueError, match=r"partners\.units must be unique, repeated: dept:water"):
        Partners(partners=(WATER, FIRE.model_copy(update={"units": ("dept:water",)})))


async def test_a_service_that_begins_with_a_file_it_cannot_read_is_not_ready_and_judges_no_deadline(
    tally_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    """What would end a deadline may lie on the topic of a partner of which it does not know."""
    file = tmp_path / "partners.json"
    file.write_text("{")
    async with running(TALLY, tally_database, kafka=kafka, prefix=topics, CASEGRID_PARTNERS=file) as tally:
        runtime = tally.runtime
        await runtime.inbox.process([fact_record(case_id(), report(category="timed"), time=LONG_AGO)])
        assert "no version before it is known" in (await runtime.faults())["partners"]
        assert (await tally.client.get("/ready")).status_code == 503
        await eventually(lambda: runtime.consumer.read_up_to(runtime.clock()), what="the topics read")
        assert await runtime.deciding.timers.look() == 0
        written(file, WATER)
        await eventually(lambda: _judged(tally), what="the deadline")
        assert "partners" not in await runtime.faults()


async def test_a_process_that_only_serves_is_not_ready_either_before_anybody_has_asked_for_a_partner(
    tally_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "partners.json"
    file.write_text("{")
    async with running(TALLY, tally_database, role="api", CASEGRID_PARTNERS=file) as tally:
        told = await tally.client.get("/ready", headers=token("ops", "administrator"))
        assert "no version before it is known" in told.json()["parts"]["partners"]
        written(file, WATER)
        assert (await tally.client.get("/ready")).status_code == 200


async def _judged(tally: Running) -> bool:
    rows = await tally.runtime.database.fetch(
        "SELECT 1 FROM events WHERE convert_from(body, 'UTF8') LIKE '%check_overdue%'"
    )
    return len(rows) == 1


async def test_a_client_key_is_good_from_the_moment_it_is_registered_until_it_is_not(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    identity = Identity(Settings(), Registry(file))
    with pytest.raises(Unauthenticated):
        await identity.caller(None, "secret")
    written(file, WATER)
    caller = await identity.caller(None, "secret")
    assert caller is not None
    assert (caller.subject, caller.source, caller.unit) == ("partner:water", "/partners/water", "dept:water")
    written(file, FIRE)
    with pytest.raises(Unauthenticated):
        await identity.caller(None, "secret")

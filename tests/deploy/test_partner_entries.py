"""The rules of a partner's entry, and the file it stands in."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.kafka.connection import Connection
from contracts.reference import NO_PARTNERS, Partner, Partners
from deploy.partners import Installation, Unacceptable, Wanted, read, unregister
from deploy.partners.entries import retired, with_entry
from deploy.partners.file import change
from deploy.stack.problem import Problem

UNITS = frozenset({"dept:water", "dept:fire", "street:CH/a"})
KEY, OTHER_KEY = "a" * 64, "b" * 64
WATER = Wanted("water", says=("reports", "steps"), units=("dept:water",))
HOTLINE = Wanted("hotline", says=("reports",), name="Hotline")
REGISTERED = with_entry(NO_PARTNERS, replace(WATER, name="Water company"), UNITS, KEY)


def test_what_is_not_asked_for_stays_as_it_is_registered() -> None:
    late = with_entry(REGISTERED, Wanted("water", retrospective=True), UNITS, None)
    after = with_entry(late, Wanted("water", says=("steps",)), UNITS, OTHER_KEY).by_id["water"]
    assert (after.units, after.says, after.retrospective, after.name) == (
        WATER.units,
        ("steps",),
        True,
        "Water company",
    )
    assert after.client_key_sha256 == OTHER_KEY


def test_an_entry_holds_what_was_asked_for() -> None:
    assert REGISTERED.by_id["water"] == Partner(
        id="water",
        name="Water company",
        units=("dept:water",),
        says=("reports", "steps"),
        client_key_sha256=KEY,
    )


def test_without_a_name_it_is_called_by_its_id() -> None:
    assert with_entry(NO_PARTNERS, WATER, UNITS, KEY).by_id["water"].name == "water"


def test_registered_again_it_becomes_what_is_asked_for_and_keeps_name_and_key() -> None:
    fire = with_entry(REGISTERED, Wanted("fire", says=("steps",), units=("dept:fire",)), UNITS, OTHER_KEY)
    changed = Wanted("water", says=("steps",), units=("street:CH/a",), retrospective=True)
    after = with_entry(fire, changed, UNITS, None)
    assert after.by_id["water"] == Partner(
        id="water",
        name="Water company",
        units=("street:CH/a",),
        says=("steps",),
        retrospective=True,
        client_key_sha256=KEY,
    )
    assert after.by_id["fire"] == fire.by_id["fire"]
    assert [partner.id for partner in after.partners] == ["water", "fire"]


def test_a_new_key_takes_the_place_of_the_old_one() -> None:
    after = with_entry(REGISTERED, WATER, UNITS, OTHER_KEY)
    assert set(after.by_key) == {OTHER_KEY}


@pytest.mark.parametrize(
    ("wanted", "finding"),
    [
        (replace(HOTLINE, id="Water"), "id: 'Water' must be 1 to 50 lower-case letters, digits and hyphens"),
        (replace(HOTLINE, id="-water"), "id: '-water' must be"),
        (replace(HOTLINE, id="from.water"), "id: 'from.water' must be"),
        (replace(HOTLINE, id=""), "id: '' must be"),
        (replace(HOTLINE, id="w" * 51), "id: "),
        (replace(HOTLINE, id="water\n"), "id: "),
        (replace(WATER, says=()), "says: '' must be reports, steps, or both"),
        (replace(WATER, says=("reports", "Resolved")), "says: 'Resolved' must be reports, steps, or both"),
        (replace(WATER, says=("steps", "steps")), "says: steps is there more than once"),
        (replace(WATER, units=("dept:watr",)), "units: dept:watr is not a unit of the district's units.json"),
        (replace(WATER, units=("*",)), "units: * is not a unit of the district's units.json"),
        (replace(WATER, units=("dept:fire", "dept:fire")), "units: dept:fire is there more than once"),
        (replace(WATER, id="other"), "units: dept:water answers through water already, and a unit has one partner"),
        (replace(WATER, name=""), "name: '' must not be empty"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_field_and_rule(wanted: Wanted, finding: str) -> None:
    with pytest.raises(Unacceptable) as raised:
        with_entry(REGISTERED, wanted, UNITS, KEY)
    assert len(raised.value.findings) == 1
    assert raised.value.findings[0].startswith(finding)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Unacceptable) as raised:
        with_entry(REGISTERED, Wanted("Other", says=("x",), units=("dept:water", "dept:x")), UNITS, KEY)
    assert [finding.partition(":")[0] for finding in raised.value.findings] == ["id", "says", "units", "units"]


def test_a_partner_that_is_registered_no_longer_may_say_nothing_for_nobody_and_the_others_stay() -> None:
    two = with_entry(REGISTERED, HOTLINE, UNITS, OTHER_KEY)
    after = retired(two, "water")
    assert after.by_id["water"] == Partner(id="water", name=two.by_id["water"].name)
    assert after.by_id["hotline"] == two.by_id["hotline"]
    assert retired(two, "stranger") is two
    assert retired(after, "water") is after
    with pytest.raises(Unacceptable) as raised:
        with_entry(after, Wanted("water"), UNITS, KEY)
    words = "says: water is registered no longer: name SAYS and UNITS (--says, --units) to register it again"
    assert raised.value.findings == (words,)
    assert with_entry(after, WATER, UNITS, KEY).by_id["water"].units == WATER.units


async def test_a_file_that_is_not_there_registers_nobody(tmp_path: Path) -> None:
    assert read(tmp_path / "partners.json") == NO_PARTNERS
    assert not await unregister(Installation(tmp_path / "partners.json", tmp_path, Connection("127.0.0.1:1")), "water")
    assert not (tmp_path / "partners.json").exists()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "district" / "partners.json"
    change(file, lambda _: REGISTERED)
    assert read(file) == REGISTERED
    change(file, lambda found: retired(found, "water"))
    assert [partner.says for partner in read(file).partners] == [()]


@pytest.mark.parametrize(
    ("content", "named"),
    [("{", "is not usable"), ('{"partners": [{"id": "water"}]}', r"partners\.0\.name: is required")],
)
def test_a_file_that_is_not_usable_is_named_and_left_alone(tmp_path: Path, content: str, named: str) -> None:
    file = tmp_path / "partners.json"
    file.write_text(content)
    with pytest.raises(Problem, match=rf"{file} .*{named}"):
        change(file, lambda _: REGISTERED)
    assert file.read_text() == content


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    change(file, lambda _: REGISTERED)
    before = file.read_bytes()
    with pytest.raises(Unacceptable):
        change(file, lambda partners: with_entry(partners, replace(WATER, id="other"), UNITS, OTHER_KEY))
    assert file.read_bytes() == before


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    change(file, lambda _: REGISTERED)
    before = file.stat()
    change(file, lambda partners: with_entry(partners, WATER, UNITS, None))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_of_many_at_once_none_is_lost_and_no_reader_sees_half_a_file(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    change(file, lambda _: REGISTERED)

    def add(number: int) -> Partners:
        wanted = Wanted(f"hotline-{number}", says=("reports",))
        change(file, lambda partners: with_entry(partners, wanted, UNITS, f"{number:064x}"))
        return read(file)

    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(add, range(64)))
    assert all("water" in partners.by_id for partners in seen)
    assert set(read(file).by_id) == {"water", *(f"hotline-{number}" for number in range(64))}


def test_the_file_has_one_partner_to_a_line(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    change(file, lambda _: with_entry(REGISTERED, Wanted("hotline", says=("reports",), name="热线"), UNITS, OTHER_KEY))
    lines = file.read_text().splitlines()
    assert [json.loads(line.rstrip(","))["name"] for line in lines[1:-1]] == ["Water company", "热线"]

"""`token`: a development token bears known roles only, and names a unit and areas that the district has."""

import json
from pathlib import Path
from secrets import token_urlsafe

import jwt
import pytest

from chassis.settings import AUDIENCE, ISSUER
from contracts.roles import PEOPLE
from deploy.district.__main__ import main as write_district
from deploy.stack import secrets
from deploy.stack.problem import Problem
from deploy.stack.token import issue
from tests.deploy.stacks import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    assert write_district(["--scale", "tiny", "--out", stack.environment["CASEGRID_DISTRICT"]]) == 0
    secrets.load(stack.folder / "run")
    return stack


DISTRICT = "such a token needs AREAS; it gets AREAS=CH, the whole district"


def claims(stack: Stack, token: str) -> dict[str, object]:
    [public] = json.loads(secrets.keys_file(stack.folder / "run").read_text())["keys"]
    return jwt.decode(token.strip(), jwt.PyJWK.from_dict(public), ["EdDSA"], audience=AUDIENCE, issuer=ISSUER)


def test_it_bears_what_was_asked_for(stack: Stack) -> None:
    given = ("--subject", "li", "--unit", "dept:water", "--areas", "CH, CH/shuangqiaozi")
    done = stack.run("token", "--role", "dispatcher, auditor", *given)
    assert (done.returncode, done.stderr) == (0, "")
    found = claims(stack, done.stdout)
    assert found["roles"] == ["dispatcher", "auditor"]
    assert (found["sub"], found["unit"], found["areas"]) == ("li", "dept:water", ["CH", "CH/shuangqiaozi"])


@pytest.mark.parametrize("roles", ["wizard", "Dispatcher", "dispatcher,wizard", "*", "dispatcher shift_leader"])
def test_an_unknown_role_is_named_with_those_there_are(stack: Stack, roles: str) -> None:
    done = stack.run("token", "--role", roles)
    assert (done.returncode, done.stdout) == (1, "")
    assert repr(roles.rpartition(",")[2]) in done.stderr
    assert ", ".join(PEOPLE) in done.stderr


def test_no_token_bears_the_role_of_a_partners_system(stack: Stack) -> None:
    done = stack.run("token", "--role", "dispatcher,partner")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ROLE names 'partner', which no token bears" in done.stderr
    assert "make partner" in done.stderr


def test_it_names_nobody_that_facts_use_for_somebody_else(stack: Stack) -> None:
    done = stack.run("token", "--role", "dispatcher", "--subject", "partner:water")
    assert (done.returncode, done.stdout) == (1, "")
    assert "claim sub: must not be a name that facts use for somebody else" in done.stderr


def test_before_there_are_secrets_it_makes_none_and_says_what_does(tmp_path: Path) -> None:
    done = Stack(tmp_path).run("token", "--role", "auditor")
    assert (done.returncode, done.stdout) == (1, "")
    assert "secrets.json lacks token_key" in done.stderr
    assert "`make up` makes" in done.stderr
    assert not [*tmp_path.iterdir()]


def test_nobody_else_issues_one_either() -> None:
    for role in ("wizard", "partner"):
        with pytest.raises(Problem, match=role):
            issue(token_urlsafe(32), subject="li", roles=["dispatcher", role])


@pytest.mark.parametrize("arguments", [(), ("--role", ""), ("--role", ","), ("--subject", "li")])
def test_without_a_role_all_are_listed_with_what_they_may_do(stack: Stack, arguments: tuple[str, ...]) -> None:
    done = stack.run("token", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    listed = [line.split(maxsplit=1) for line in done.stderr.splitlines()[1:]]
    assert listed == [[role, role.description] for role in PEOPLE]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ("--unit", "dept:watr"),
            "UNIT names 'dept:watr', which {district}/units.json does not have; near it are dept:wat",
        ),
        (("--areas", "CH,CH/nowhere"), "AREAS names 'CH/nowhere', which {district}/areas.json does not have"),
        (("--areas", "CH/"), "AREAS names 'CH/', which {district}/areas.json does not have; near it are CH"),
    ],
)
def test_a_unit_or_an_area_that_the_district_lacks_is_named(
    stack: Stack, arguments: tuple[str, ...], named: str
) -> None:
    done = stack.run("token", "--role", "dispatcher", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(named.format(district=stack.environment["CASEGRID_DISTRICT"]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("handling_unit",), ["without UNIT a handling_unit can work on no assignment: UNIT=dept:water"]),
        (
            ("dispatcher,handling_unit",),
            ["without UNIT a handling_unit can work on no assignment: UNIT=dept:water", DISTRICT],
        ),
        (
            ("grid_member",),
            [
                "without UNIT a grid_member can work on no assignment: UNIT=grid:CH/shuangqiaozi/shuanglin/g001",
                "a grid_member's AREAS should be its grids, AREAS=CH/shuangqiaozi/shuanglin/g001; this token gets"
                " AREAS=CH, the whole district",
            ],
        ),
        (("handling_unit", "--unit", "dept:water"), []),
        (
            ("grid_member", "--unit", "grid:CH/shuangqiaozi/shuanglin/g001", "--areas", "CH/shuangqiaozi/shuanglin"),
            [],
        ),
        (("dispatcher",), [DISTRICT]),
        (("acceptor,evaluator",), []),
        (("dispatcher", "--areas", "CH/shuangqiaozi"), []),
    ],
)
def test_a_token_that_lacks_what_its_role_needs_comes_with_a_warning(
    stack: Stack, arguments: tuple[str, ...], words: list[str]
) -> None:
    done = stack.run("token", "--role", *arguments)
    assert (done.returncode, done.stderr.splitlines()) == (0, [f"warning: {one}" for one in words])
    assert claims(stack, done.stdout)["sub"] == "developer"


@pytest.mark.parametrize(("role", "areas"), [("dispatcher", ["CH"]), ("shift_leader", []), ("handling_unit", [])])
def test_a_role_that_needs_areas_gets_the_district(stack: Stack, role: str, areas: list[str]) -> None:
    assert claims(stack, stack.run("token", "--role", role).stdout)["areas"] == areas


def test_without_a_district_it_warns_and_prints_the_token(stack: Stack, tmp_path: Path) -> None:
    arguments = ("token", "--role", "handling_unit", "--unit", "dept:fire")
    done = stack.run(*arguments, CASEGRID_DISTRICT=str(tmp_path / "none"))
    assert done.returncode == 0
    assert done.stderr.startswith("warning: UNIT and AREAS were not checked")
    assert claims(stack, done.stdout)["unit"] == "dept:fire"


def test_a_district_that_can_not_be_read_is_named(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "units.json").write_text("{")
    done = stack.run("token", "--role", "handling_unit", "--unit", "dept:fire", CASEGRID_DISTRICT=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path}/units.json can't be used: `python -m deploy.district check ")

"""The roles are one list: what the services' routes ask for and what is documented is in it."""

from importlib import import_module

import pytest
from pydantic import TypeAdapter

from contracts.roles import PEOPLE, Role
from deploy.stack.plan import SERVICES
from deploy.stack.process import ROOT

NO_ROLES = {"*", "+"}
"""How a table of routes says that anybody may call, or anybody who is known."""


def test_every_role_says_what_it_may_do_in_a_line() -> None:
    for role in Role:
        assert role.description == role.__doc__
        assert len(role.description) > 20
        assert "\n" not in role.description
    assert len({role.description for role in Role}) == len(Role)


def test_a_role_is_written_and_read_as_its_name() -> None:
    adapter = TypeAdapter(Role)
    assert adapter.dump_json(Role.SHIFT_LEADER) == b'"shift_leader"'
    assert adapter.validate_python("shift_leader") is Role.SHIFT_LEADER
    assert adapter.json_schema()["enum"] == [role.value for role in Role]
    assert Role.PARTNER == "partner"


def test_a_partners_system_is_no_person() -> None:
    assert set(Role) - set(PEOPLE) == {Role.PARTNER}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_asks_for_no_other_roles(service: str) -> None:
    asked_for = {role for access in import_module(f"services.{service}.api").ROLES.values() for role in access.roles}
    assert asked_for
    assert asked_for - NO_ROLES <= set(Role)


def test_the_readme_lists_the_roles_of_people() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    listed = [line.partition("# ")[2] for line in lines if "make -s token ROLE=dispatcher SUBJECT=li)" in line]
    assert listed == [", ".join(PEOPLE)]

"""What holds for the APIs of all five services alike."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from chassis.http import encode_cursor
from chassis.migrate import migrate
from chassis.settings import Settings
from tests.support.facts import case_id
from tests.support.fleet import SERVICES
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import running, token

EVERYBODY = token(
    "everybody",
    *("reporter", "grid_member", "acceptor", "dispatcher", "handling_unit", "supervisor", "shift_leader"),
    *("evaluator", "auditor", "administrator"),
)
FORGED: tuple[list[Any], ...] = (
    *([], ["x"], [7], [-1], [2**63], [1.5], [None], [True], [["x"]], ["\0"], [{}]),
    *(["x", "x"], [7, "x"], ["2026-05-09", "x"], ["2026-05-09T08:00:00", "x"], ["0001-01-01T00:00:00Z", "x"]),
    *(["2026-05-09T08:00:00Z", 7], ["2026-05-09T08:00:00Z", "\0"], ["9999-12-31T23:59:59Z", "x"], [None, None]),
    ["x", "x", "x"],
)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_forged_cursor_is_bad_input_in_every_list(
    name: str, empty_database: Database, district_folder: Path
) -> None:
    service = import_module(f"services.{name}.service").build(
        Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    )
    await migrate(empty_database.admin_url, name, PASSWORD, service.schema.read_text())
    async with running(service, empty_database.url(name), role="api") as found:
        routes = found.runtime.service.router(found.runtime).routes
        lists = [
            route.path.replace("{case_id}", case_id())
            for route in routes
            if isinstance(route, APIRoute) and "cursor" in [one.name for one in route.dependant.query_params]
        ]
        assert lists
        for path in (*lists, "/parked"):
            answers = {
                (await found.client.get(path, headers=EVERYBODY, params={"cursor": encode_cursor(key)})).status_code
                for key in FORGED
            }
            assert answers == {404} or 422 in answers, path
            assert answers <= {200, 404, 422}, path

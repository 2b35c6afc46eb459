"""Who reads bytes of the log, recorded as the range of the page that was answered."""

from typing import Any

from tests.domain.audit_story import CASE, Story, burst_main
from tests.services.audit.test_api import AUDITOR, get, store
from tests.support.facts import case_id
from tests.support.services import Running


async def ranges(audit: Running) -> list[tuple[Any, ...]]:
    """(route, case, first, last) of each entry, in order."""
    found = (await get(audit, "/reads"))["items"]
    names = ("route", "case_id", "first", "last")
    return [tuple(entry[name] for name in names) for entry in reversed(found)]


async def test_a_page_of_the_log_is_recorded_as_its_range(audit: Running) -> None:
    await store(audit, *burst_main().records())
    size = (await get(audit, "/log", limit=2))["size"]
    await get(audit, "/log", **{"from": 3, "limit": 1})
    end = (await get(audit, "/log", **{"from": size - 2}))["next"]
    await get(audit, "/log", **{"from": end})  # whoever follows the log and finds nothing new has read nothing
    assert await ranges(audit) == [
        ("GET /log", None, 0, 1),
        ("GET /log", None, 3, 3),
        ("GET /log", None, size - 2, size - 1),
    ]


async def test_the_records_of_a_case_are_recorded_as_the_range_that_was_shown(audit: Running) -> None:
    other = Story(case_id(), seed=1)
    other.report()
    await store(audit, *burst_main().records(), *(record._replace(partition=9) for record in other.records()))
    first = await get(audit, f"/cases/{CASE}/events", limit=2)
    await get(audit, f"/cases/{CASE}/events", limit=1, cursor=first["next"])
    await get(audit, f"/cases/{other.case}/events")
    last = (await get(audit, "/log"))["size"] - 1
    route = "GET /cases/{case_id}/events"
    found = await ranges(audit)
    assert found[:3] == [(route, CASE, 0, 1), (route, CASE, 2, 2), (route, other.case, last, last)]


async def test_one_record_is_recorded_with_its_case(audit: Running) -> None:
    await store(audit, *burst_main().records())
    await get(audit, "/log/2")
    assert await ranges(audit) == [("GET /log/{index}", CASE, 2, 2)]


async def test_whoever_may_not_read_the_log_leaves_no_entry(audit: Running) -> None:
    await store(audit, *burst_main().records())
    for path in ("/log", "/log/0", f"/cases/{CASE}/events"):
        assert (await audit.client.get(path)).status_code == 401
    assert (await audit.client.get("/log/77", headers=AUDITOR)).status_code == 404
    assert await ranges(audit) == []


async def test_chains_and_lists_are_not_among_what_is_recorded(audit: Running) -> None:
    await store(audit, *burst_main().records())
    for path in ("/cases", f"/cases/{CASE}", "/summary"):
        await get(audit, path)
    assert await ranges(audit) == []

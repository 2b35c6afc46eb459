"""Commands that come together share a transaction, and nothing else: each ends as if it were alone."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from chassis.clock import wall_clock
from chassis.engine.commands import Answer, CommandRequest, Commands, Stale
from chassis.engine.decider import Refused
from chassis.engine.groups import Groups, Member
from chassis.store.database import Database
from chassis.store.streams import Cache
from tests.support.facts import case_id
from tests.support.tally import MODEL, File, Note


@pytest.fixture(params=["cached", "loaded"])
def commands(request: pytest.FixtureRequest, database: Database) -> Commands:
    cache: Cache[Any] | None = Cache() if request.param == "cached" else None
    return Commands(MODEL, database, wall_clock, cache)


def by(actor: str = "somebody", key: str | None = None, **more: Any) -> CommandRequest:
    return CommandRequest(actor, idempotency_key=key, fingerprint=key or "", **more)


def told(state: Any, _: Sequence[Any]) -> tuple[int, Any]:
    return 201, {"title": state.title, "notes": state.notes}


async def filed(commands: Commands, title: str = "wet", request: CommandRequest | None = None) -> tuple[str, Any]:
    """A case of its own, and what its command ended with."""
    case = case_id()
    try:
        return case, await commands.execute(case, File(title, "bench"), request or by(), told)
    except Exception as fault:
        return case, fault


async def transactions(database: Database) -> int:
    """How many transactions have written events."""
    rows = await database.fetch("SELECT count(DISTINCT xmin::text) AS found FROM events")
    return rows[0]["found"]


async def test_what_comes_together_is_committed_together(commands: Commands, database: Database) -> None:
    found = await asyncio.gather(*(filed(commands, f"report {n}") for n in range(30)))
    assert all(isinstance(answer, Answer) and answer.status == 201 for _, answer in found)
    assert await transactions(database) == 1
    assert len(await database.fetch("SELECT 1 FROM tallies")) == 30


async def test_a_single_command_is_executed_at_once(commands: Commands, database: Database) -> None:
    for _ in range(3):
        await filed(commands)
    assert await transactions(database) == 3


async def test_a_refused_command_leaves_nothing_and_disturbs_nobody(commands: Commands, database: Database) -> None:
    case, _ = await filed(commands)
    found = await asyncio.gather(
        filed(commands),
        commands.execute(case, File("again", "bench"), by(), told),
        filed(commands),
        filed(commands),
        return_exceptions=True,
    )
    assert isinstance(found[1], Refused)
    assert found[1].rule == "report.once"
    assert [isinstance(one, tuple) and isinstance(one[1], Answer) for one in found] == [True, False, True, True]
    assert len(await database.fetch("SELECT 1 FROM events WHERE stream_id = $1", case)) == 1


async def test_an_error_of_the_database_meets_only_the_command_that_makes_it(
    commands: Commands, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = await asyncio.gather(
            filed(commands), *(filed(commands, "unbearable" if n == 3 else "wet") for n in range(8))
        )
    broken = [fault for _, fault in found if isinstance(fault, Exception)]
    assert len(broken) == 1
    assert "violates check constraint" in str(broken[0])
    assert len(await database.fetch("SELECT 1 FROM tallies")) == 8
    assert "a group of 9 commands failed, executing each alone" in caplog.text


async def test_a_key_is_good_for_one_command_also_within_a_group(commands: Commands, database: Database) -> None:
    found = await asyncio.gather(*(filed(commands, "wet", by(key="a")) for _ in range(6)))
    answers = [answer for _, answer in found]
    assert {answer.body for answer in answers} == {answers[0].body}
    assert [answer.repeated for answer in answers] == [False, True, True, True, True, True]
    assert len(await database.fetch("SELECT 1 FROM tallies")) == 1


async def test_two_processes_with_the_same_key_carry_it_out_once(database: Database) -> None:
    processes = [Commands(MODEL, database, wall_clock) for _ in range(4)]
    found = await asyncio.gather(*(filed(one, "wet", by(key="a")) for one in processes for _ in range(3)))
    assert sum(not answer.repeated for _, answer in found) == 1
    assert len(await database.fetch("SELECT 1 FROM tallies")) == 1


async def test_commands_on_one_case_are_decided_one_after_the_other(commands: Commands) -> None:
    case, _ = await filed(commands)
    found = await asyncio.gather(
        *(commands.execute(case, Note(f"note {n}"), by(if_match=1), told) for n in range(4)), return_exceptions=True
    )
    assert [type(one) for one in found] == [Answer, Stale, Stale, Stale]
    versions = [(await commands.execute(case, Note("more"), by(), told)).version for _ in range(2)]
    assert versions == [3, 4]


async def test_what_another_process_appended_is_seen(database: Database) -> None:
    one, other = (Commands(MODEL, database, wall_clock, Cache()) for _ in range(2))
    case, _ = await filed(one)
    for n in range(2, 6):
        answer = await (one, other)[n % 2].execute(case, Note("more"), by(), told)
        assert answer.version == n
    await one.execute(case, Note("the fifth"), by(), told)
    for process in (one, other):
        with pytest.raises(Refused, match="five notes at most"):
            await process.execute(case, Note("the sixth"), by(), told)


async def test_who_goes_away_takes_back_what_waits_and_stops_nobody() -> None:
    done: list[str] = []
    go_on = asyncio.Event()

    async def execute(group: Sequence[Member[str]]) -> None:
        await go_on.wait()
        for member in group:
            done.append(member.work)
            member.ends_with(member.work.upper())

    groups = Groups(execute, 10)
    tasks = [asyncio.create_task(groups.submit("a"))]
    await asyncio.wait([asyncio.create_task(asyncio.sleep(0)) for _ in range(3)])
    tasks += [asyncio.create_task(groups.submit(work)) for work in "bcd"]
    await asyncio.wait([asyncio.create_task(asyncio.sleep(0))])
    for gone in (0, 2):
        tasks[gone].cancel()
    go_on.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[1::2] == ["B", "D"]
    assert all(isinstance(one, asyncio.CancelledError) for one in found[::2])
    assert done == ["a", "b", "d"]


async def test_a_group_has_a_most_and_what_shares_something_goes_in_order() -> None:
    groups_seen: list[list[str]] = []

    async def execute(group: Sequence[Member[str]]) -> None:
        groups_seen.append([member.work for member in group])
        for member in group:
            member.ends_with(None)

    groups = Groups(execute, 3)
    await asyncio.gather(*(groups.submit(work, work[0]) for work in ("x1", "x2", "y1", "x3", "z1", "u1", "v1")))
    assert groups_seen == [["x1", "y1", "z1"], ["x2", "u1", "v1"], ["x3"]]


async def test_what_must_be_alone_is_alone_and_keeps_its_place() -> None:
    groups_seen: list[list[str]] = []

    async def execute(group: Sequence[Member[str]]) -> None:
        groups_seen.append([member.work for member in group])
        for member in group:
            member.ends_with(None)

    groups = Groups(execute, 9)
    await asyncio.gather(*(groups.submit(work, work, alone=work in "BD") for work in "aBcDe"))
    assert groups_seen == [["a"], ["B"], ["c"], ["D"], ["e"]]


async def test_a_server_that_hangs_ends_also_what_waits() -> None:
    async def execute(group: Sequence[Member[str]]) -> None:
        for member in group:
            member.ends_with(TimeoutError("silent"))
        groups.end_waiting(TimeoutError("silent"))

    groups = Groups(execute, 1)
    found = await asyncio.gather(*(groups.submit(work) for work in "abc"), return_exceptions=True)
    assert [type(one) for one in found] == [TimeoutError] * 3


async def test_a_retry_at_another_process_finds_the_answer_that_came_meanwhile(database: Database) -> None:
    """Between what a command asks of its key and what it sees of its case, nothing may pass unnoticed."""
    one, other = (Commands(MODEL, database, wall_clock) for _ in range(2))
    case, _ = await filed(one)
    request = by(key="k", if_match=1)
    asked = other._given

    async def late(connection: Any, keys: Any) -> Any:
        found = await asked(connection, keys)
        if not first:
            first.append(await one.execute(case, Note("x"), request, told))
        return found

    first: list[Answer] = []
    other._given = late
    answer = await other.execute(case, Note("x"), request, told)
    assert (answer.body, answer.version, answer.repeated) == (first[0].body, first[0].version, True)

"""A process works on so many requests at once, and sends the others away in an order that it can keep up with."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from chassis.web.crowd import Crowd
from chassis.web.errors import Crowded
from tests.support.facts import case_id, fact_record, report
from tests.support.services import eventually, running, token
from tests.support.tally import TALLY


def turned_away(crowd: Crowd, times: int) -> Sequence[float]:
    """For how many seconds each of so many requests is sent away."""
    found: list[float] = []
    for _ in range(times):
        with pytest.raises(Crowded) as refused, crowd.place():
            pass
        found.append(refused.value.wait_seconds)
    return found


def test_who_is_turned_away_comes_back_at_the_rate_at_which_others_are_answered() -> None:
    now = 100.0
    crowd = Crowd(1, lambda: now)
    for _ in range(40):
        with crowd.place():
            now += 0.1
    with crowd.place():
        waits = turned_away(crowd, 21)
        assert waits[0] == pytest.approx(1.1, abs=0.01)
        assert waits[20] - waits[10] == pytest.approx(1.0, abs=0.01), "ten a second were answered"
        now += 1.0
        assert turned_away(crowd, 1)[0] == pytest.approx(waits[20] - 0.9, abs=0.01), "behind those who are to come"
        now += 100.0
        assert turned_away(crowd, 1)[0] == pytest.approx(1.1, abs=0.01), "they have come, or do not come any more"


def test_nobody_is_sent_away_for_longer_than_a_minute() -> None:
    crowd = Crowd(1, lambda: 0.0)
    with crowd.place():
        assert max(turned_away(crowd, 500)) == 60.0


def test_a_place_is_free_again_when_the_work_has_ended_failed_or_given_it_up() -> None:
    crowd = Crowd(1)
    with pytest.raises(ZeroDivisionError), crowd.place():
        raise ZeroDivisionError
    with crowd.place() as first:
        first.give_up()
        with crowd.place():
            turned_away(crowd, 1)
    with crowd.place():
        turned_away(crowd, 1)


async def test_one_request_more_is_answered_with_503_at_once_and_health_as_ever(tally_database: str) -> None:
    case, headers = case_id(), token("li", "acceptor")
    async with running(TALLY, tally_database, CASEGRID_REQUESTS_AT_ONCE=2) as tally:
        await tally.runtime.inbox.process([fact_record(case, report())])
        other = await asyncpg.connect(tally_database)
        try:
            async with other.transaction():
                await other.execute("LOCK TABLE tally.streams IN EXCLUSIVE MODE")
                path = f"/cases/{case}/notes"
                noting = [
                    asyncio.create_task(tally.client.post(path, json={"text": f"{n}"}, headers=headers))
                    for n in range(2)
                ]
                waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
                await eventually(lambda: other.fetchval(waiting), what="a command that waits for the table")
                answer = await tally.client.post(path, json={"text": "more"}, headers=headers)
                assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
                assert answer.json()["cause"] == "as many requests are being worked on as this process can take"
                assert int(answer.headers["retry-after"]) >= 1
                assert (await tally.client.get("/health")).status_code == 200
        finally:
            await other.close()
        assert [one.status_code for one in await asyncio.gather(*noting)] == [201, 201]
        assert (await tally.client.post(path, json={"text": "more"}, headers=headers)).status_code == 201

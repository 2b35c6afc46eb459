"""The light is the same in SQL and in the answers."""

from datetime import timedelta
from itertools import product
from typing import get_args

from services.dispatch.lights import LIGHT, Light, light
from tests.services.dispatch.desk import T0
from tests.support.services import Running

INSTANTS = [T0 + timedelta(microseconds=n) for n in range(3)]


async def test_the_light_in_sql_is_that_of_the_answers(dispatch: Running) -> None:
    found = set[Light | None]()
    for open_, late, yellow_at, red_at, now in product((True, False), (True, False), INSTANTS, INSTANTS, INSTANTS):
        sql = f"SELECT {LIGHT.format('$5::timestamptz')} AS light FROM (SELECT $1::boolean AS open,"
        sql += " $2::boolean AS retrospective, $3::timestamptz AS yellow_at, $4::timestamptz AS red_at) assignments"
        row = await dispatch.runtime.database.fetchrow(sql, open_, late, yellow_at, red_at, now)
        assert row is not None
        expected = light(open=open_, retrospective=late, yellow_at=yellow_at, red_at=red_at, now=now)
        assert row["light"] == expected, (open_, late, yellow_at, red_at, now)
        found.add(expected)
    assert found == {*get_args(Light), None}

"""Cases that a run left open because it was interrupted or failed: they are closed before the next one begins.

A report at the place of an open case would become part of it, so nothing could be measured there. What is left was
given to a unit, because all that was said before has been read; that unit acknowledges and resolves it over HTTP.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.bench.chain import CATEGORY, PARTNER
from deploy.bench.client import Client
from deploy.bench.database import connected
from deploy.bench.http import ACCEPTOR
from deploy.bench.phases import Ground, settled
from deploy.stack.problem import Problem

_CALLERS = 16
_LOOK_SECONDS = 0.5
_READ_SECONDS = 60.0
_OPEN = """
SELECT c.case_id, coalesce(r.filed_by = ANY($2), false) AS ours
  FROM audit.cases c LEFT JOIN intake.reports r USING (case_id) WHERE c.open AND c.category = $1
"""
_OURS = (f"partner:{PARTNER}", ACCEPTOR)
_GIVEN = "SELECT assignment_id, unit, status FROM dispatch.assignments WHERE open AND case_id = ANY($1)"


async def close(ground: Ground) -> None:
    """Returns when none is open. Raises `Problem` where cases of others are at these places, or some stay open."""
    await settled(ground)
    left, since = await _left(ground.database), time.monotonic()
    most, refused = len(left), ""
    while left:
        ground.tell(f"closing {len(left)} cases that an earlier run left open")
        async with connected(ground.database) as connection:
            given = await connection.fetch(_GIVEN, left)
        refused = await _work(ground, given) or refused
        await asyncio.sleep(_LOOK_SECONDS)
        left = await _left(ground.database)
        if len(left) < most:
            most, since = len(left), time.monotonic()
        if time.monotonic() - since > ground.timeout:
            raise Problem(
                f"{len(left)} cases that an earlier run left open cannot be closed, the first {left[0]}"
                f" ({refused or 'nobody has work of it'}): `make reset` drops them, and all other data"
            )


async def read_out(ground: Ground) -> None:
    """Waits a while until all that the partner has said is read: once it is not registered any more, intake refuses
    that, and parks what it may not even answer.
    """
    ground.tell("waiting until what was said is read")
    try:
        async with asyncio.timeout(_READ_SECONDS):
            await settled(ground)
    except (TimeoutError, Problem, OSError):
        ground.tell("it is not read: GET /parked of intake has what could not be answered")


async def _left(database: str) -> list[str]:
    async with connected(database) as connection:
        rows = await connection.fetch(_OPEN, CATEGORY, list(_OURS))
    if others := [row["case_id"] for row in rows if not row["ours"]]:
        raise Problem(
            f"{len(others)} open cases of the category {CATEGORY} are not the benchmark's, the first {others[0]}."
            " Reports at their places would become part of them: close them, or give the benchmark a stack of its own"
        )
    return [row["case_id"] for row in rows]


async def _work(ground: Ground, given: Sequence[Mapping[str, Any]]) -> str:
    """Has all of these resolved; what the last refusal said, if there was one."""
    work, refused = iter(given), ""
    people = {
        unit: ground.city.person("bench-unit", "handling_unit", unit=unit).headers
        for unit in {one["unit"] for one in given}
    }

    async def call() -> None:
        nonlocal refused
        async with Client(ground.city.urls["dispatch"]) as client:
            for one in work:
                steps = ("acknowledge", "resolve") if one["status"] == "dispatched" else ("resolve",)
                try:
                    for step in steps:
                        await client.post(f"/assignments/{one['assignment_id']}/{step}", {}, people[one["unit"]])
                except Problem as fault:  # somebody else has ended it meanwhile, or it is asked again
                    refused = str(fault)

    await asyncio.gather(*(call() for _ in range(min(_CALLERS, len(given)))))
    return refused

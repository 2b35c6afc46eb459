"""The table of cases, which is derived from the log; what could not be taken in when it came is read again with it."""

from collections.abc import Sequence

from chassis.store.database import Connection
from chassis.store.derived import Derived
from chassis.store.locks import lock_alone
from services.audit.log import read_again
from services.audit.records import folded
from services.audit.views import CASES

_COUNT = "SELECT count(DISTINCT case_id) FROM log"
_NEXT = "SELECT DISTINCT case_id FROM log WHERE case_id > $1 ORDER BY case_id LIMIT $2"


async def _hold(connection: Connection, _: Sequence[str] | None) -> None:
    await lock_alone(connection)


async def _refill(connection: Connection, case_ids: Sequence[str]) -> None:
    await CASES.write(connection, (await folded(connection, case_ids)).items())
    await read_again(connection, case_ids)


DERIVED = Derived((CASES.table,), (CASES.table,), _hold, _COUNT, _NEXT, _refill)
"""One writer works at a time, so whoever holds any case holds all."""

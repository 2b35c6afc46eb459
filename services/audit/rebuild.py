"""Rebuilds the table of cases from the log, and reads again what could not be taken in when it came."""

from chassis.store.checksums import Progress, TableRebuilt, checksum
from chassis.store.database import Connection, Database
from chassis.store.migrations import mark_rebuilt
from services.audit.log import LOCK, read_again
from services.audit.records import folded
from services.audit.views import CASES

_BATCH = 500

_COUNT = "SELECT count(DISTINCT case_id) FROM log"
_NEXT = "SELECT DISTINCT case_id FROM log WHERE case_id > $1 ORDER BY case_id LIMIT $2"


async def rebuild(database: Database, progress: Progress) -> list[TableRebuilt]:
    """Makes the table anew in one transaction; returns its checksum before and after.

    Readers see the old rows until it commits. Writers wait, so a service that runs meanwhile loses nothing.
    """

    async def run(connection: Connection) -> list[TableRebuilt]:
        await connection.execute(LOCK, timeout=None)
        before = await checksum(connection, CASES.table)
        await connection.execute(f"DELETE FROM {CASES.table}", timeout=None)
        await _refill(connection, progress)
        after = await checksum(connection, CASES.table)
        await mark_rebuilt(connection)
        return [TableRebuilt(CASES.table, before, after)]

    return await database.transact(run)


async def _refill(connection: Connection, progress: Progress) -> None:
    total, done, last = await connection.fetchval(_COUNT, timeout=None), 0, ""
    while case_ids := [row["case_id"] for row in await connection.fetch(_NEXT, last, _BATCH)]:
        last = case_ids[-1]
        await CASES.write(connection, (await folded(connection, case_ids)).items())
        await read_again(connection, case_ids)
        done += len(case_ids)
        progress(done, total)

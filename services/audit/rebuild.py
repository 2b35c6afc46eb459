"""The table of cases, which is derived from the log."""

from collections.abc import Mapping, Sequence

from chassis.store.database import Connection
from chassis.store.derived import Derived
from contracts.envelope import AnyEvent
from contracts.wire import TOPICS, reread
from services.audit.domain.case import Case, fold
from services.audit.log import LOCK
from services.audit.views import CASES

_COUNT = "SELECT count(DISTINCT case_id) FROM log"
_NEXT = "SELECT DISTINCT case_id FROM log WHERE case_id > $1 ORDER BY case_id LIMIT $2"
_FACTS = """
SELECT index, topic, case_id, body FROM log
 WHERE case_id = ANY($1::text[]) AND topic = ANY($2::text[]) AND duplicate_of IS NULL AND valid
 ORDER BY case_id, index
"""


async def _hold(connection: Connection, _: Sequence[str] | None) -> None:
    await connection.execute(LOCK)


async def _refill(connection: Connection, case_ids: Sequence[str]) -> None:
    await CASES.write(connection, (await _folded(connection, case_ids)).items())


async def _folded(connection: Connection, case_ids: Sequence[str]) -> Mapping[str, Case]:
    """The cases folded from the log alone: every fact once, in the log's order."""
    facts: dict[str, list[tuple[AnyEvent, int]]] = {}
    for row in await connection.fetch(_FACTS, case_ids, TOPICS):
        facts.setdefault(row["case_id"], []).append((reread(row["topic"], row["body"]), row["index"]))
    folded = {case_id: fold(found) for case_id, found in facts.items()}
    return {case_id: case for case_id, case in folded.items() if case is not None}


DERIVED = Derived((CASES.table,), (CASES.table,), _hold, _COUNT, _NEXT, _refill)
"""One writer works at a time, so whoever holds any case holds all."""

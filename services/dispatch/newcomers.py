"""Partners registered at run time are told of the open assignments of their units: their cases are made due.

The next look at the clock tells them, in the case's own stream, so that nothing is told twice. What is not told yet is
found by the tables: an open assignment, or an open offer, of a registered partner's unit with another partner than that
as the one told. Where everybody has been told, a look reads no row, only two indexes.
"""

import asyncio
import logging
from datetime import datetime

from chassis.database import PASSING, Database
from chassis.inbox import backoff
from chassis.runtime import Runtime
from contracts.reference import Partners

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_AT_ONCE = 1000

# Ranges on both sides of the partner, for an index serves them, as it would not serve "another than".
_UNTOLD = """
SELECT DISTINCT untold.case_id
  FROM unnest($1::text[], $2::text[]) AS registered (unit, partner)
 CROSS JOIN LATERAL (
       SELECT case_id FROM assignments WHERE open AND unit = registered.unit AND partner < registered.partner
        UNION ALL
       SELECT case_id FROM assignments WHERE open AND unit = registered.unit AND partner > registered.partner
        UNION ALL
       SELECT case_id FROM offers WHERE open AND unit = registered.unit AND partner < registered.partner
        UNION ALL
       SELECT case_id FROM offers WHERE open AND unit = registered.unit AND partner > registered.partner
       ) AS untold
"""
_DUE = """
UPDATE streams SET due_at = $2 WHERE stream_id IN (
    SELECT stream_id FROM streams
     WHERE stream_id = ANY($1::text[]) AND (due_at IS NULL OR due_at > $2)
     ORDER BY stream_id FOR UPDATE SKIP LOCKED)
"""


async def tell_newcomers(runtime: Runtime) -> None:
    """Looks until cancelled."""
    attempt = 0
    while True:
        try:
            await make_due(runtime.database, runtime.registry.partners, runtime.clock())
            attempt = 0
            await asyncio.sleep(_LOOK_SECONDS)
        except PASSING as fault:
            log.info("who is to be told cannot be looked up now: %r", fault)
            await backoff(attempt)
            attempt += 1


async def make_due(database: Database, partners: Partners, now: datetime) -> int:
    """Makes the cases due in which a partner was not told yet; how many there are. What another transaction is just
    writing is left to the next look.
    """
    units = partners.by_unit
    if not units:
        return 0
    rows = await database.fetch(_UNTOLD, list(units), [partner.id for partner in units.values()])
    cases = sorted(row["case_id"] for row in rows)
    for first in range(0, len(cases), _AT_ONCE):
        await database.fetch(_DUE, cases[first : first + _AT_ONCE], now)
    return len(cases)

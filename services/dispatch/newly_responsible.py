"""Tells partners that are registered while the service runs of the open assignments of their units.

A loop looks for cases with an open assignment, or an open offer, of a partner's unit of which another partner, or none,
was told last. It makes these cases due: the timers then tell the partner, in the case's own stream, so nothing is told
twice. When everybody has been told, a look reads two indexes and no row.
"""

import asyncio
import logging
from datetime import datetime

from chassis.retry import Backoff, in_words, keep_running
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.web.requests import Process
from contracts.reference import Partners

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_BATCH = 1000

# An index finds the ranges below and above the partner; it would not find "other than the partner".
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
_MAKE_DUE = """
UPDATE streams SET due_at = $2 WHERE stream_id IN (
    SELECT stream_id FROM streams
     WHERE stream_id = ANY($1::text[]) AND (due_at IS NULL OR due_at > $2)
     ORDER BY stream_id FOR UPDATE SKIP LOCKED)
"""


async def notify_newly_responsible(process: Process) -> None:
    """Looks until cancelled."""

    async def look(backoff: Backoff) -> None:
        while True:
            await make_due(process.database, process.registry.partners, process.clock())
            backoff.reset()
            await asyncio.sleep(_LOOK_SECONDS)

    await keep_running(
        look,
        TRANSIENT_ERRORS,
        lambda error: log.info("partners that were not told yet cannot be looked up: %s", in_words(error)),
    )


async def make_due(database: Database, partners: Partners, now: datetime) -> int:
    """Makes the cases due in which a partner was not told yet; returns their number. Cases that another transaction is
    writing are left to the next look.
    """
    units = partners.by_unit
    if not units:
        return 0
    rows = await database.fetch(_UNTOLD, list(units), [partner.id for partner in units.values()])
    cases = sorted(row["case_id"] for row in rows)
    for first in range(0, len(cases), _BATCH):
        await database.fetch(_MAKE_DUE, cases[first : first + _BATCH], now)
    return len(cases)

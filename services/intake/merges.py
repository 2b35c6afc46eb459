"""Reads the merges around a batch's rulings and verdicts, so that none of another worker's is missed."""

from collections.abc import Sequence
from typing import Any

from chassis.database import Connection
from contracts.feedback import Evaluated
from contracts.triage import Merged
from contracts.wire import reread
from services.intake.domain.merges import Merges, ends

_LOCK_CLASS = 0x1A7E
"""Of intake's advisory locks: one per case, to a few thousand, for the server's table of locks has an end."""

# In one order, so that two workers do not wait for each other. A generic plan would be made while the tables are small,
# and kept.
_LOCK = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), pg_advisory_xact_lock($2, number)
  FROM (SELECT DISTINCT hashtext(case_id) & 4095 AS number FROM unnest($1::text[]) AS case_id ORDER BY 1) AS numbers
"""

# Its own statement, after the locks are held: it must see what those who held them before have committed. Below the
# cases in question all that are part of them; above the cases they become part of all that those are part of, with the
# verdicts that closed them. UNION ends a circle that should not be.
_READ = """
WITH RECURSIVE below AS (
    SELECT case_id, merged_into, reported_by FROM reports WHERE case_id = ANY($1::text[])
    UNION
    SELECT r.case_id, r.merged_into, r.reported_by FROM below b JOIN reports r ON r.merged_into = b.case_id
), above AS (
    SELECT case_id, merged_into FROM reports WHERE case_id = ANY($2::text[])
    UNION
    SELECT r.case_id, r.merged_into FROM above a JOIN reports r ON r.case_id = a.merged_into
)
SELECT case_id, merged_into, reported_by, false AS above, NULL AS body, 0 AS version FROM below
UNION ALL
SELECT a.case_id, a.merged_into, NULL, true, e.body, e.version
  FROM above a LEFT JOIN events e ON e.stream_id = a.case_id AND e.topic = 'Evaluated'
 ORDER BY version
"""


async def read(connection: Connection, events: Sequence[Any], _: Sequence[str]) -> Merges:
    """The merges around the cases that these events merge or close; nothing is read where none does.

    A merge locks the report, the case it becomes part of, and all that this is part of; a closing locks its case: so of
    a merge and a closing that concern each other the later one sees the earlier.
    """
    ended = [event for event in events if isinstance(event.data, Evaluated) and ends(event.data)]
    merged = [event for event in events if isinstance(event.data, Merged)]
    if not ended and not merged:
        return Merges()
    starts = {event.subject for event in (*ended, *merged)}
    leaders = {event.data.into for event in merged}
    locked: set[str] = set()
    wanted = starts | leaders
    rows: list[Any] = []
    while wanted - locked:  # once, unless a leader has become part of another case
        await connection.execute(_LOCK, list(wanted - locked), _LOCK_CLASS)
        locked |= wanted
        rows = await connection.fetch(_READ, list(starts), list(leaders))
        wanted = {row["merged_into"] for row in rows if row["above"] and row["merged_into"] is not None}
    verdicts = [reread("Evaluated", row["body"]) for row in rows if row["body"] is not None]
    return Merges(
        below=starts,
        above=leaders,
        into={row["case_id"]: row["merged_into"] for row in rows if row["merged_into"] is not None},
        partners={row["case_id"] for row in rows if row["reported_by"] is not None},
        closings={verdict.subject: verdict for verdict in verdicts if ends(verdict.data)},
    )

"""Loads the merges around the rulings and verdicts of a transaction, so that none of another worker's is missed."""

from collections.abc import Sequence
from typing import Any

from chassis.store.locks import lock
from chassis.store.transaction import Transaction
from contracts.feedback import Evaluated
from contracts.triage import Merged
from contracts.wire import reread
from services.intake.domain.merges import Merges, tells_outcome

# A statement of its own after the locks are held, because it must see what their previous holders committed. `below`:
# all followers of the cases in $1. `above`: all leaders of the cases in $2, with their verdicts. UNION ends the
# recursion even if merges form a circle.
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


async def load_context(transaction: Transaction, events: Sequence[Any], _: Sequence[str]) -> Merges:
    """The merges around the cases that these events merge or close; nothing is read if no event does.

    A merge locks the report, its leader, and all leaders of that; a closing locks its case. So of a merge and a closing
    that concern each other, the later one sees the earlier. The locks of all leaders are rarely known at once; taking
    the rest later can deadlock with another worker, which is a transient error: the batch is processed again.
    """
    ended = [event for event in events if isinstance(event.data, Evaluated) and tells_outcome(event.data)]
    merged = [event for event in events if isinstance(event.data, Merged)]
    if not ended and not merged:
        return Merges()
    connection = await transaction.begin()
    starts = {event.subject for event in (*ended, *merged)}
    leaders = {event.data.into for event in merged}
    locked: set[str] = set()
    wanted = starts | leaders
    rows: list[Any] = []
    while wanted - locked:  # once, unless a leader was merged into another case
        await lock(connection, wanted - locked)
        locked |= wanted
        rows = await connection.fetch(_READ, list(starts), list(leaders))
        wanted = {row["merged_into"] for row in rows if row["above"] and row["merged_into"] is not None}
    verdicts = [reread("Evaluated", row["body"]) for row in rows if row["body"] is not None]
    return Merges(
        with_followers=starts,
        with_leaders=leaders,
        into={row["case_id"]: row["merged_into"] for row in rows if row["merged_into"] is not None},
        partners={row["case_id"] for row in rows if row["reported_by"] is not None},
        closings={verdict.subject: verdict for verdict in verdicts if tells_outcome(verdict.data)},
    )

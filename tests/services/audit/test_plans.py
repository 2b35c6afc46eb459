"""Among many cases, everything audit reads it finds by index."""

from pathlib import Path

from chassis.service import Service
from contracts.progress import OnScene
from services.audit import examples
from tests.services.audit.test_api import store
from tests.services.audit.test_examples import PREPARATIONS, stories
from tests.support.examples import Call
from tests.support.facts import event_of
from tests.support.infrastructure import Database
from tests.support.plans import Statements, fill
from tests.support.services import running

_, A_STEP = event_of(examples.CASE, OnScene(assignment_id=f"{examples.CASE}.1.1", unit="dept:water"))
MANY = r"""
INSERT INTO log (index, topic, partition, "offset", headers, body, stored_at, valid, source, event_id, case_id,
                 type, kind, label, time, recorded_time, sequence, causation_id, actor, answers, settles)
SELECT n - 1, 'Progressed', 0, n, '[]', '\x{body}', pg_temp.ago(n), true, 'dispatch', 'event ' || n,
       pg_temp.case_of((n + 9) / 10),
       'casegrid.Progressed.v1', 'acknowledged', 'acknowledged', pg_temp.ago(n), pg_temp.ago(n), 1 + n % 10,
       'event ' || n - 1, 'x', NULL, NULL
  FROM generate_series(1, 10 * {cases}) n;
INSERT INTO cases (case_id, first_index, last_index, events, status, outcome, category, area, priority, channel, title,
                   external_ref, reported_at, ruled_at, filed_at, closed_at, last_at, ruling, merged_into,
                   late_by_seconds, late, reworks, state)
SELECT pg_temp.case_of(n), 10 * n - 10, 10 * n - 1, 10, CASE WHEN n % 50 = 0 THEN 'verifying' ELSE 'closed' END,
       CASE WHEN n % 50 > 0 THEN 'fixed' END, 'event.kind' || n % 150, pg_temp.area(n), 1, 'citizen', 'x',
       'reference ' || n, pg_temp.ago(n), pg_temp.ago(n), pg_temp.ago(n), pg_temp.ago(n), pg_temp.ago(n), 'dispatched',
       CASE WHEN n % 20 = 0 THEN pg_temp.case_of(n - 1) END, 0, false, 0, ''
  FROM generate_series(1, {cases}) n;
INSERT INTO unrecorded (topic, partition, since, until, because)
SELECT 'from.water', n % 6, n, n, 'marker' FROM generate_series(1, {cases}) n;
"""


def of_the_whole_log(call: Call | None) -> bool:
    """Whether a call asks about all that was ever stored, so that it has to be read."""
    if call is None:
        return False
    return call.operation == "get_summary" or (call.operation == "get_completeness" and "case_id" not in call.query)


async def test_no_table_that_grows_is_read_from_end_to_end(
    statements: Statements, database: Database, service: Service, tmp_path: Path
) -> None:
    async with running(service, database.url("audit"), CASEGRID_PARTNERS=tmp_path / "none.json") as audit:
        await fill(database, "audit", MANY, body=A_STEP.hex())
        await store(audit, *stories())
        await statements.of_every_call(audit, PREPARATIONS)
    found = await statements.scans(database, "audit")
    assert [(str(call), table, query) for call, table, query in found if not of_the_whole_log(call)] == []

"""Among many cases, everything dispatch reads it finds by index."""

import httpx

from tests.services.dispatch.desk import given_out, listening
from tests.services.dispatch.test_examples import PREPARATIONS
from tests.support.infrastructure import Database
from tests.support.plans import Statements, fill
from tests.support.services import Running

MANY = """
INSERT INTO cases (case_id, status, title, category, condition, priority, area, round, filed_at, retrospective,
                   ended_by, verdict, outcome)
SELECT pg_temp.case_of(n), CASE WHEN n % 50 = 0 THEN 'dispatched' ELSE 'closed' END, 'x', 'event.kind' || n % 150,
       'standard', 1, pg_temp.area(n), 1, pg_temp.ago(n), false, NULL, CASE WHEN n % 50 > 0 THEN 'closed' END,
       CASE WHEN n % 50 > 0 THEN 'fixed' END
  FROM generate_series(1, {cases}) n;
INSERT INTO assignments (assignment_id, case_id, unit, partner, area, lead, status, open, retrospective, due_at,
                         yellow_at, red_at, ended_at, late_by_seconds, urged, supervised, extension_pending, offered,
                         waiting, escalation_level, escalation_failed, item)
SELECT pg_temp.case_of(n) || '.1.1', pg_temp.case_of(n), 'dept:' || n % 64, '', pg_temp.area(n), true,
       CASE WHEN n % 50 = 0 THEN 'dispatched' ELSE 'fixed' END, n % 50 = 0, false, pg_temp.ago(n), pg_temp.ago(n),
       pg_temp.ago(n), CASE WHEN n % 50 > 0 THEN pg_temp.ago(n) END, 0, 0, false, false, n % 50 = 0, n % 5000 = 0, 0,
       false, (SELECT item FROM assignments LIMIT 1)
  FROM generate_series(1, {cases}) n;
INSERT INTO offers (assignment_id, unit, case_id, partner, open)
SELECT pg_temp.case_of(n) || '.1.1', 'dept:' || n % 64, pg_temp.case_of(n), '', n % 50 = 0
  FROM generate_series(1, {cases}) n;
"""


async def test_no_table_that_grows_is_read_from_end_to_end(
    statements: Statements, empty_database: Database, dispatch: Running
) -> None:
    await given_out(dispatch)
    await fill(empty_database, "dispatch", MANY)
    async with listening(dispatch) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        await statements.of_every_call(dispatch, PREPARATIONS, client)
    assert await statements.scans(empty_database, "dispatch") == []

"""Among many cases, everything triage reads it finds by index."""

from tests.services.triage.test_examples import PREPARATIONS
from tests.support.infrastructure import Database
from tests.support.plans import Statements, fill
from tests.support.services import Running

MANY = """
INSERT INTO cases (case_id, status, queue, queue_since, queue_due_at, queue_words, overdue, category, priority, area,
                   community, title, channel, external_ref, reported_at, retrospective, round, open, merged_into)
SELECT pg_temp.case_of(n), CASE WHEN n % 100 = 0 THEN 'verifying' ELSE 'closed' END,
       CASE WHEN n % 100 = 0 THEN 'verify' END, CASE WHEN n % 100 = 0 THEN now() END,
       CASE WHEN n % 100 = 0 THEN now() + n * interval '1 minute' END, CASE WHEN n % 100 = 0 THEN 'x' END, false,
       'event.kind' || n % 150, 1,
       pg_temp.area(n), 'CH/street' || n % 7 || '/community' || n % 91, 'x', 'citizen', 'reference ' || n,
       pg_temp.ago(n), false, 1, n % 50 = 0, CASE WHEN n % 20 = 0 THEN pg_temp.case_of(n - 1) END
  FROM generate_series(1, {cases}) n;
"""


async def test_no_table_that_grows_is_read_from_end_to_end(
    statements: Statements, empty_database: Database, triage: Running
) -> None:
    await fill(empty_database, "triage", MANY)
    await statements.of_every_call(triage, PREPARATIONS)
    assert await statements.scans(empty_database, "triage") == []

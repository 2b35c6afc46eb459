"""Among many cases, everything feedback reads it finds by index."""

from tests.services.feedback.desk import AUDITOR
from tests.services.feedback.test_examples import PREPARATIONS
from tests.support.examples import Call
from tests.support.infrastructure import Database
from tests.support.plans import Statements, fill
from tests.support.services import Running

MANY = """
INSERT INTO cases (case_id, status, listed_at, title, category, condition, priority, area, retrospective, lead_unit,
                   rounds, reworks, filed_at, due_at, done_at, late_by_seconds, check_method, check_by, checking_since,
                   check_due_at, check_overdue, handlers, handling_units, closed_at, outcome, checked_by, scores)
SELECT pg_temp.case_of(n), CASE WHEN n % 100 = 0 THEN 'checking' ELSE 'closed' END, pg_temp.ago(n), 'x',
       'event.kind' || n % 150, 'standard', 1, pg_temp.area(n), false, 'dept:' || n % 64, 1, 0, pg_temp.ago(n),
       pg_temp.ago(n), pg_temp.ago(n), 0, 'photo', 'grid', CASE WHEN n % 100 = 0 THEN pg_temp.ago(n) END,
       CASE WHEN n % 100 = 0 THEN pg_temp.ago(n) END, false, '[]', '[]',
       CASE WHEN n % 100 > 0 THEN pg_temp.ago(n) END, CASE WHEN n % 100 > 0 THEN 'fixed' END, 'x', '[]'
  FROM generate_series(1, {cases}) n;
INSERT INTO rulings (case_id, round, category, area, in_force_since)
SELECT pg_temp.case_of(n), 1, 'event.kind' || n % 150, pg_temp.area(n), pg_temp.ago(n)
  FROM generate_series(1, {cases}) n;
INSERT INTO assignments (case_id, assignment_id, round, because, given_to, unit, lead, task, given_at, acknowledge_by,
                         planned_by, resolve_by, outcome, ended_at, acknowledge_seconds, arrive_seconds,
                         late_by_seconds, extensions, extended, urged, supervised, handled_by)
SELECT pg_temp.case_of(n), pg_temp.case_of(n) || '.1.1', 1, 'first', 'dept:' || n % 64, 'dept:' || n % 64, true, 'x',
       pg_temp.ago(n), pg_temp.ago(n), pg_temp.ago(n), pg_temp.ago(n), 'fixed', pg_temp.ago(n), 60, 600, 0, 0, '[]', 0,
       false, '[]'
  FROM generate_series(1, {cases}) n;
INSERT INTO ratings (case_id, rater, rating, rated_at)
SELECT pg_temp.case_of(n), 'reporter:' || n, 1 + n % 5, pg_temp.ago(n) FROM generate_series(1, {cases}) n;
"""


def of_the_whole_history(call: Call | None) -> bool:
    """Whether a call asks for the figures of a period that has no beginning, so that all has to be read."""
    return call is not None and call.operation in ("list_indicators", "list_indicator_cases")


async def test_no_table_that_grows_is_read_from_end_to_end(
    statements: Statements, empty_database: Database, feedback: Running
) -> None:
    await fill(empty_database, "feedback", MANY)
    await statements.of_every_call(feedback, PREPARATIONS)
    found = await statements.scans(empty_database, "feedback")
    assert [(str(call), table, query) for call, table, query in found if not of_the_whole_history(call)] == []


async def test_the_figures_of_a_recent_week_read_what_happened_since(
    statements: Statements, empty_database: Database, feedback: Running
) -> None:
    await fill(empty_database, "feedback", MANY)
    week = {"since": "2026-05-01T00:00:00Z", "until": "2026-05-08T00:00:00Z"}
    for query in (week, {**week, "by": "category"}, {**week, "by": "area"}):
        assert (await feedback.client.get("/indicators", params=query, headers=AUDITOR)).is_success
    found = await statements.scans(empty_database, "feedback")
    assert {table for _, table, _ in found} <= {"rulings"}, "a few thousand of its small rows are cheaper to hash"

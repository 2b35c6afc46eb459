"""Among many cases, everything intake reads it finds by index."""

from chassis.web.paging import encode_cursor
from tests.services.intake.callers import ADMINISTRATOR
from tests.services.intake.desk import Home, closed, merged
from tests.services.intake.test_examples import PREPARATIONS
from tests.support.facts import case_id
from tests.support.infrastructure import Database
from tests.support.plans import Statements, fill
from tests.support.services import Running

MANY = """
INSERT INTO reports (case_id, reported_at, status, outcome, closed_at, filed_at, merged_into, channel, title, category,
                     area, external_ref, reporter_ref, filed_by, reported_by, retrospective, supplement_count,
                     withdrawal_requested)
SELECT pg_temp.case_of(n), pg_temp.ago(n), CASE WHEN n % 50 = 0 THEN 'verifying' ELSE 'closed' END,
       CASE WHEN n % 50 > 0 THEN 'fixed' END, CASE WHEN n % 50 > 0 THEN pg_temp.ago(n) END, pg_temp.ago(n),
       CASE WHEN n % 20 = 0 THEN pg_temp.case_of(n - 1) END, (ARRAY['citizen', 'hotline', 'grid_member'])[1 + n % 3],
       'x', 'event.kind' || n % 150, pg_temp.area(n), 'reference ' || n, 'reporter:' || n, 'person ' || n % 900,
       'person ' || n % 900, false, 0, false
  FROM generate_series(1, {cases}) n;
INSERT INTO reporters (reporter_ref, subject)
SELECT 'reporter:' || n, 'person ' || n FROM generate_series(1, {cases}) n;
"""


async def test_no_table_that_grows_is_read_from_end_to_end(
    statements: Statements, empty_database: Database, intake: Running
) -> None:
    await fill(empty_database, "intake", MANY)
    await statements.of_every_call(intake, PREPARATIONS)
    for query in ({}, {"status": "retried"}, {"case_id": case_id()}, {"cursor": encode_cursor([40_000])}):
        assert (await intake.client.get("/parked", params=query, headers=ADMINISTRATOR)).is_success
    since = {"since": "2026-05-01T00:00:00Z", "until": "2026-05-02T00:00:00Z"}
    before = {"cursor": encode_cursor(["2026-05-01T00:00:00Z", 7])}
    for query in ({}, {"reader": "reader 7"}, since, {"reader": "reader 7"} | since, before):
        assert (await intake.client.get("/reads", params=query, headers=ADMINISTRATOR)).is_success
    assert await statements.scans(empty_database, "intake") == []


async def test_merges_above_and_below_a_case_are_found_by_index(
    statements: Statements, empty_database: Database, home: Home
) -> None:
    root, leader, case = await home.filed(3)
    await fill(empty_database, "intake", MANY)
    await home.take(merged(case, leader), merged(leader, root), closed(root))
    assert any("WITH RECURSIVE below" in query for query in statements.queries)
    assert await statements.scans(empty_database, "intake") == []

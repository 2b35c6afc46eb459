"""What completeness asks of the log, in SQL: each question in two texts, one for the whole log and one for a case.

One text with "or $1 is null" would not do, because the plan for one case must not scan the log. The causes of a request
are checked only if it was accepted; a refused one may claim anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.fields import FROM, TO
from contracts.once import ONCE
from services.audit.reference import ALLOWED
from services.audit.views import ITEM_COLUMNS


@dataclass(frozen=True, slots=True)
class Question:
    """A query over the log.

    `text` has placeholders for what limits it to one case; `order` is that of the findings; `fault` names the findings
    in the reasons of a verdict, and is None if they are no fault.
    """

    text: str
    order: str = ""
    fault: str | None = None

    @property
    def of_log(self) -> str:
        """The query over the whole log."""
        ids = "SELECT event_id FROM log GROUP BY event_id HAVING count(*) > 1"
        return self.text.format(and_case="", ids=ids, and_in_case="")

    @property
    def of_case(self) -> str:
        """The query over the records of one case, `$1`."""
        return self.text.format(
            and_case="AND l.case_id = $1",
            ids="SELECT event_id FROM log WHERE case_id = $1",
            and_in_case="AND bool_or(l.case_id = $1)",
        )


_COLUMNS = 'l.case_id, l.index, l.topic, l.partition, l."offset", l.source, l.event_id, l.kind'
_EVENT = "l.valid AND l.duplicate_of IS NULL"
_ANSWERS = "FROM log a WHERE a.answers = l.event_id AND a.topic = l.notices AND a.valid AND a.duplicate_of IS NULL"
_TOLD = "FROM log a WHERE a.answers = l.coordinates AND a.valid"
_CAUSE_CHECKED = (
    f"(l.topic NOT LIKE '{FROM}%' OR l.kind <> 'report' AND EXISTS (SELECT {_ANSWERS} AND a.kind = 'accepted'))"
)
_OF_THE_CASE = f"(l.topic NOT LIKE '{FROM}%' OR NOT EXISTS (SELECT {_ANSWERS} AND a.case_id <> l.case_id))"
"""Leaves out requests that were answered under another case, because a partner may send one under any case."""
_PAIRS = ", ".join(f"'{pair}'" for pair in ALLOWED)

_MAY_REPEAT = "l.topic <> 'Progressed' OR l.label = 'extended'"
"""Of the facts with a role; what was a step once (contracts.superseded) names its role otherwise."""


def _case(values: Mapping[str, str]) -> str:
    return "CASE l.label " + " ".join(f"WHEN '{label}' THEN {value}" for label, value in values.items()) + " END"


_ROLE_NAME = _case({label: f"'{name}'" for label, (name, _) in ONCE.items()})
_DATA = "convert_from(l.body, 'UTF8')::json -> 'data'"
_ROLE = _case(
    {
        label: " || ' ' || ".join([f"'{name}'", *(f"coalesce({_DATA} ->> '{field}', '0')" for field in fields)])
        for label, (name, fields) in ONCE.items()
    }
)
"""As `contracts.once.role` says it. What is absent is a number that is 0 then."""
_LABELS = ", ".join(f"'{label}'" for label in ONCE)
_ONCE = f"{_EVENT} AND ({_MAY_REPEAT}) AND l.label IN ({_LABELS})"

QUESTIONS: Mapping[str, Question] = {
    "missing_sequences": Question(
        f"""
SELECT case_id, source, before + 1 AS since, sequence - 1 AS until, index AS before_index FROM (
    SELECT l.case_id, l.source, l.sequence, l.index,
           lag(l.sequence, 1, 0::bigint) OVER (PARTITION BY l.case_id, l.source ORDER BY l.sequence, l.index) AS before
      FROM log l WHERE {_EVENT} AND l.sequence IS NOT NULL AND {_OF_THE_CASE} {{and_case}}) numbered
 WHERE sequence > before + 1
""",
        "before_index, since",
        "gaps in the sequences of sources",
    ),
    "repeated_sequences": Question(
        f"""
SELECT l.case_id, l.source, l.sequence, count(*) AS times, min(l.index) AS first_index, max(l.index) AS last_index
  FROM log l WHERE {_EVENT} AND l.sequence IS NOT NULL AND {_OF_THE_CASE} {{and_case}}
 GROUP BY l.case_id, l.source, l.sequence HAVING count(*) > 1
""",
        "first_index",
        "sequence numbers that two events of one source have",
    ),
    "conflicting_ids": Question(
        """
SELECT l.source, l.event_id, count(DISTINCT l.case_id) AS cases, count(*) AS times,
       min(l.index) AS first_index, max(l.index) AS last_index
  FROM log l WHERE l.valid AND l.event_id IN ({ids})
 GROUP BY l.source, l.event_id HAVING count(DISTINCT sha256(l.body)) > 1 {and_in_case}
""",
        "first_index",
        "ids that came again with other bytes or under a second case",
    ),
    "repeated_facts": Question(  # a body is read only where a case has several of the name
        f"""
SELECT l.case_id, {_ROLE} AS role, count(*) AS times, min(l.index) AS first_index, max(l.index) AS last_index
  FROM log l JOIN (
        SELECT l.case_id, {_ROLE_NAME} AS name FROM log l WHERE {_ONCE} {{and_case}}
         GROUP BY 1, 2 HAVING count(*) > 1) several
    ON several.case_id = l.case_id AND several.name = {_ROLE_NAME}
 WHERE {_ONCE} {{and_case}} GROUP BY 1, 2 HAVING count(*) > 1
""",
        "first_index",
        "facts that a case has once only, told a second time",
    ),
    "ahead": Question(  # what follows is the witness: a clock that was moved for all is no fault
        f"""
SELECT {_COLUMNS} FROM log l
 WHERE {_EVENT} {{and_case}} AND l.topic NOT LIKE '{FROM}%' AND l.recorded_time > l.stored_at + interval '1 hour'
   AND EXISTS (SELECT FROM log f
                WHERE f.index > l.index AND f.index <= l.index + 100 AND f.valid AND f.topic NOT LIKE '{FROM}%'
                  AND f.recorded_time - f.stored_at < l.recorded_time - l.stored_at - interval '1 hour')
""",
        "index",
        "events recorded more than an hour ahead of others that came later",
    ),
    "foreign_partitions": Question(
        """
SELECT l.case_id, l.index, l.topic, l.partition, l."offset", l.home, l.source FROM log l
 WHERE l.home <> l.partition {and_case}
""",
        "index",
        "records of services outside the partitions of their keys",
    ),
    "split_cases": Question(
        """
SELECT l.case_id, l.topic, array_agg(DISTINCT l.partition ORDER BY l.partition) AS partitions, count(*) AS times,
       min(l.index) AS first_index, max(l.index) AS last_index
  FROM log l WHERE l.case_id IS NOT NULL {and_case}
 GROUP BY l.case_id, l.topic HAVING min(l.partition) <> max(l.partition)
""",
        "first_index",
        "cases whose records on a topic lie in several partitions, without an order among them",
    ),
    "open_causes": Question(
        f"""
SELECT {_COLUMNS}, l.causation_id FROM log l
 WHERE {_EVENT} {{and_case}} AND l.causation_id IS NOT NULL AND {_CAUSE_CHECKED}
   AND NOT EXISTS (SELECT FROM log c WHERE c.event_id = l.causation_id)
""",
        "index",
        "events whose cause is not in the log",
    ),
    "wrong_causes": Question(
        f"""
SELECT {_COLUMNS}, l.causation_id,
       (SELECT c.label FROM log c WHERE c.event_id = l.causation_id ORDER BY c.valid DESC, c.index LIMIT 1) AS cause
  FROM log l
 WHERE {_EVENT} {{and_case}} AND l.causation_id IS NOT NULL AND {_CAUSE_CHECKED}
   AND l.label || ' < any' NOT IN ({_PAIRS})
   AND EXISTS (SELECT FROM log c WHERE c.event_id = l.causation_id)
   AND NOT EXISTS (
    SELECT FROM log c WHERE c.event_id = l.causation_id AND c.valid AND CASE
        WHEN l.topic LIKE '{FROM}%' THEN c.topic = l.notices AND c.case_id = l.case_id
        ELSE l.label || ' < ' || c.label IN ({_PAIRS}) END)
""",
        "index",
        "events with a cause of a kind that cannot be theirs",
    ),
    "missing_causes": Question(
        f"""
SELECT {_COLUMNS} FROM log l
 WHERE {_EVENT} {{and_case}} AND l.causation_id IS NULL AND {_CAUSE_CHECKED}
   AND NOT (l.topic = 'Progressed' AND l.kind IN ('retried', 'discarded', 'forged'))
   AND (l.answers IS NULL OR l.answers NOT LIKE '{FROM}%')
   AND NOT (l.topic = 'ReportFiled' AND l.kind = 'new' AND NOT EXISTS (
    SELECT FROM log e WHERE e.case_id = l.case_id AND e.index < l.index AND e.topic = 'ReportFiled' AND e.kind = 'new'
                        AND e.valid AND e.duplicate_of IS NULL))
""",
        "index",
        "events without a cause",
    ),
    "unanswered": Question(
        f"""
SELECT {_COLUMNS}, l.stored_at FROM log l
 WHERE {_EVENT} {{and_case}} AND l.topic LIKE '{FROM}%'
   AND NOT EXISTS (SELECT {_ANSWERS}) AND NOT EXISTS (SELECT {_TOLD})
   AND NOT EXISTS (SELECT FROM log s WHERE s.settles = l.coordinates AND s.kind = 'discarded')
""",
        "index",
        "requests without an answer that were not discarded",
    ),
    "answered_twice": Question(
        f"""
SELECT {_COLUMNS}, (SELECT count(*) {_ANSWERS}) AS answers FROM log l
 WHERE {_EVENT} {{and_case}} AND l.topic LIKE '{FROM}%' AND (SELECT count(*) {_ANSWERS}) > 1
""",
        "index",
        "requests with more than one answer",
    ),
    "invalid": Question(
        f"""
SELECT l.index, l.topic, l.partition, l."offset", l.case_id, l.source, l.stored_at, l.invalidity, l.reason,
       EXISTS (SELECT FROM log s WHERE s.settles = l.coordinates) AS settled,
       EXISTS (SELECT {_TOLD}) AS answered, (SELECT r.index FROM log r WHERE r.reread_of = l.index) AS reread_as
  FROM log l WHERE NOT l.valid {{and_case}}
""",
        "index",
    ),
    "forged": Question(
        f"""
SELECT r.index, f.data ->> 'forged_topic' AS topic, (f.data ->> 'partition')::integer AS partition,
       (f.data ->> 'offset')::bigint AS "offset", r.kind, f.data ->> 'event_id' AS event_id, f.case_id, f.source,
       f.data ->> 'because' AS because, f.index AS named_at
  FROM (SELECT l.index, l.case_id, l.source, convert_from(l.body, 'UTF8')::json -> 'data' AS data FROM log l
         WHERE {_EVENT} {{and_case}} AND l.topic = 'Progressed' AND l.kind = 'forged') f
  LEFT JOIN log r ON r.topic = f.data ->> 'forged_topic' AND r.partition = (f.data ->> 'partition')::integer
                 AND r."offset" = (f.data ->> 'offset')::bigint AND r.reread_of IS NULL
""",
        "named_at",
        "records that bear a service's name and are not its own",
    ),
    "open_cases": Question(
        f"SELECT {', '.join(ITEM_COLUMNS)} FROM cases l WHERE l.open {{and_case}}",
        "first_index",
    ),
}
"""Name in the answer -> the question."""

NOT_TAKEN_IN = Question(
    f"""
SELECT count(*) FILTER (WHERE invalidity <> 'failed' AND NOT settled
                              AND topic <> 'Progressed' AND topic NOT LIKE '{TO}%') AS waiting,
       count(*) FILTER (WHERE invalidity = 'failed') AS failed
  FROM ({QUESTIONS["invalid"].text}) i WHERE reread_as IS NULL
"""
)
"""The numbers of records that were not taken in so far: `waiting` for an operator, `failed` by a defect of audit.
Invalid ones on Progressed and `to.*` do not wait, because no service parks them and so nobody can settle them."""

DUPLICATES = Question("SELECT count(*) FROM log l WHERE l.duplicate_of IS NOT NULL {and_case}")
"""The number of records with an event that had been stored before."""

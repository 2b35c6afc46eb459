-- Feedback's read models: one row per case, per assignment of its plans, and per person's rating.

CREATE TABLE cases (
    case_id         text PRIMARY KEY,
    status          text NOT NULL,
    title           text,
    category        text,
    condition       text,
    priority        smallint,
    area            text,
    retrospective   boolean NOT NULL,
    merged_into     text,
    lead_unit       text,
    rounds          integer NOT NULL,
    reworks         integer NOT NULL,
    filed_at        timestamptz,
    due_at          timestamptz,
    done_at         timestamptz,
    late_by_seconds bigint,
    check_method    text,
    check_by        text,
    checking_since  timestamptz,
    check_due_at    timestamptz,
    check_overdue   boolean NOT NULL,
    handlers        jsonb NOT NULL,
    handling_units  jsonb NOT NULL,
    closed_at       timestamptz,
    outcome         text,
    reason          text,
    checked_by      text,
    scores          jsonb NOT NULL
) WITH (fillfactor = 80);
-- The check queue, most urgent first.
CREATE INDEX cases_checking ON cases (check_due_at, case_id) WHERE checking_since IS NOT NULL;
-- The indicators of a period: what was closed in it, what is open at its end.
CREATE INDEX cases_closed ON cases (closed_at);
CREATE INDEX cases_filed ON cases (filed_at);
-- The filters of the list.
CREATE INDEX cases_area ON cases (area text_pattern_ops, case_id);
CREATE INDEX cases_unit ON cases (lead_unit, case_id);
CREATE INDEX cases_category ON cases (category text_pattern_ops, case_id);

CREATE TABLE assignments (
    case_id             text NOT NULL,
    assignment_id       text NOT NULL,
    round               integer NOT NULL,
    because             text NOT NULL,
    given_to            text NOT NULL, -- the unit of the plan
    unit                text NOT NULL, -- who had it in the end
    lead                boolean NOT NULL,
    task                text NOT NULL,
    replaces            text,
    given_at            timestamptz NOT NULL,
    acknowledge_by      timestamptz NOT NULL,
    planned_by          timestamptz NOT NULL, -- the deadline of the plan
    resolve_by          timestamptz NOT NULL, -- the deadline in force: of its end, of its last extension, or planned
    outcome             text,
    reason              text,
    ended_at            timestamptz,
    acknowledged_at     timestamptz,
    arrived_at          timestamptz,
    acknowledge_seconds double precision,
    arrive_seconds      double precision,
    late_by_seconds     bigint,
    extensions          bigint NOT NULL,
    extended            jsonb NOT NULL, -- [{"granted_at", "due_at"}], the first first
    urged               bigint NOT NULL,
    supervised          boolean NOT NULL,
    handled_by          jsonb NOT NULL,
    failed_at           timestamptz,
    PRIMARY KEY (case_id, assignment_id)
) WITH (fillfactor = 80);
CREATE INDEX assignments_ended ON assignments (ended_at);

CREATE TABLE ratings (
    case_id  text NOT NULL,
    rater    text NOT NULL,
    rating   smallint NOT NULL,
    comment  text,
    rated_at timestamptz NOT NULL,
    PRIMARY KEY (case_id, rater)
);
CREATE INDEX ratings_rated ON ratings (rated_at);

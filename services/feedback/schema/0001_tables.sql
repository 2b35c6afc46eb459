-- Feedback's read models: one row per case, per ruling, per assignment of its plans, and per person's rating.

CREATE TABLE cases (
    case_id         text COLLATE "C" PRIMARY KEY,
    status          text NOT NULL,
    listed_at       timestamptz NOT NULL, -- when it was filed; a case that was never filed: when it was closed
    title           text,
    category        text COLLATE "C",
    condition       text,
    priority        smallint,
    area            text COLLATE "C",
    retrospective   boolean NOT NULL,
    merged_into     text COLLATE "C",
    lead_unit       text COLLATE "C",
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
-- The indicators of a period: what was closed in it, what is open at its end or was closed later.
CREATE INDEX cases_closed ON cases (closed_at);
-- The list, latest first, and its filters.
CREATE INDEX cases_listed ON cases (listed_at, case_id);
CREATE INDEX cases_area ON cases (area, listed_at);
CREATE INDEX cases_unit ON cases (lead_unit, listed_at);
CREATE INDEX cases_category ON cases (category, listed_at);

-- What a case was in the eyes of triage, round by round. At every instant exactly one of them is in force.
CREATE TABLE rulings (
    case_id        text COLLATE "C" NOT NULL,
    round          integer NOT NULL,
    category       text COLLATE "C" NOT NULL,
    area           text COLLATE "C" NOT NULL,
    in_force_since timestamptz NOT NULL,
    in_force_until timestamptz, -- exclusive; null: still in force
    PRIMARY KEY (case_id, round)
) WITH (fillfactor = 80);

CREATE TABLE assignments (
    case_id             text COLLATE "C" NOT NULL,
    assignment_id       text COLLATE "C" NOT NULL,
    round               integer NOT NULL,
    because             text NOT NULL,
    given_to            text COLLATE "C" NOT NULL, -- the unit of the plan
    unit                text COLLATE "C" NOT NULL, -- who had it in the end
    lead                boolean NOT NULL,
    task                text NOT NULL,
    replaces            text COLLATE "C",
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
    case_id  text COLLATE "C" NOT NULL,
    rater    text COLLATE "C" NOT NULL,
    rating   smallint NOT NULL,
    comment  text,
    rated_at timestamptz NOT NULL,
    PRIMARY KEY (case_id, rater)
);
CREATE INDEX ratings_rated ON ratings (rated_at);

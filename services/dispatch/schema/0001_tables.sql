-- Dispatch's read models; the runtime writes them from the state of each case.

-- One row per case that triage has ruled on. What describes a case is null until it is assigned.
CREATE TABLE cases (
    case_id       text COLLATE "C" PRIMARY KEY,
    status        text NOT NULL,
    title         text,
    category      text COLLATE "C",
    condition     text,
    priority      integer,
    area          text COLLATE "C",
    round         integer,
    filed_at      timestamptz,
    retrospective boolean,
    ended_by      text,
    verdict       text,
    outcome       text
);

-- One row per assignment. `unit`: the unit that has it now. `partner`: the partner that was told so; empty if none was.
-- `offered`: several units may acknowledge it. `waiting`: it is in dispatch's queue, because there is no unit left to
-- offer it to. `due_at`: acknowledge_by until it is acknowledged, then resolve_by. `item`: the assignment as the API
-- shows it.
CREATE TABLE assignments (
    assignment_id     text COLLATE "C" PRIMARY KEY,
    case_id           text COLLATE "C" NOT NULL,
    unit              text COLLATE "C" NOT NULL,
    partner           text COLLATE "C" NOT NULL,
    area              text COLLATE "C" NOT NULL,
    lead              boolean NOT NULL,
    status            text    NOT NULL,
    open              boolean NOT NULL,
    retrospective     boolean NOT NULL,
    due_at            timestamptz NOT NULL,
    yellow_at         timestamptz NOT NULL,
    red_at            timestamptz NOT NULL,
    ended_at          timestamptz,
    late_by_seconds   bigint,
    urged             integer NOT NULL,
    supervised        boolean NOT NULL,
    extension_pending boolean NOT NULL,
    offered           boolean NOT NULL,
    waiting           boolean NOT NULL,
    escalation_level  integer NOT NULL,
    escalation_failed boolean NOT NULL,
    item              jsonb   NOT NULL
);
CREATE INDEX assignments_case ON assignments (case_id);
CREATE INDEX assignments_due ON assignments (due_at, assignment_id);
CREATE INDEX assignments_open ON assignments (due_at, assignment_id) WHERE open;
CREATE INDEX assignments_waiting ON assignments (due_at, assignment_id) WHERE waiting;
CREATE INDEX assignments_status ON assignments (status, due_at, assignment_id);
CREATE INDEX assignments_unit ON assignments (unit, due_at, assignment_id);
CREATE INDEX assignments_told ON assignments (unit, partner) WHERE open;
CREATE INDEX assignments_area ON assignments (area, due_at);
CREATE INDEX assignments_ended ON assignments (ended_at) WHERE ended_at IS NOT NULL;

-- For an assignment that was offered or handed on: one row per unit that is or was a candidate. `open`: the unit may
-- acknowledge it now and does not have it already. `partner` as above.
CREATE TABLE offers (
    assignment_id text COLLATE "C" NOT NULL,
    unit          text COLLATE "C" NOT NULL,
    case_id       text COLLATE "C" NOT NULL,
    partner       text COLLATE "C" NOT NULL,
    open          boolean NOT NULL,
    PRIMARY KEY (assignment_id, unit)
);
CREATE INDEX offers_told ON offers (unit, partner) WHERE open;

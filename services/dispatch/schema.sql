-- Dispatch's read models; written by the runtime from the state of each case.

-- One row per case that triage has ruled on. What describes it is null where it was never given out.
CREATE TABLE cases (
    case_id       text PRIMARY KEY,
    status        text NOT NULL,
    title         text,
    category      text,
    condition     text,
    priority      integer,
    area          text,
    round         integer,
    filed_at      timestamptz,
    retrospective boolean,
    ruling        text,
    verdict       text,
    outcome       text
);

-- One row per assignment. `unit`: whose it is now; `partner`: which partner was told so, empty for none; `offered`: the
-- first to acknowledge has it; `waiting`: in dispatch's queue, for nobody is left to offer it to; `due_at`:
-- acknowledge_by until it is acknowledged, then resolve_by; `item`: all that is shown of it.
CREATE TABLE assignments (
    assignment_id     text PRIMARY KEY,
    case_id           text    NOT NULL,
    unit              text    NOT NULL,
    partner           text    NOT NULL,
    area              text    NOT NULL,
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
CREATE INDEX assignments_unit ON assignments (unit, due_at, assignment_id);
CREATE INDEX assignments_told ON assignments (unit, partner) WHERE open;
CREATE INDEX assignments_area ON assignments (area text_pattern_ops, due_at);
CREATE INDEX assignments_ended ON assignments (ended_at) WHERE ended_at IS NOT NULL;

-- Of an assignment that was ever offered or handed on: one row per unit that could have taken it. `open`: it still can,
-- and the assignment is not its own already; `partner` as above.
CREATE TABLE offers (
    assignment_id text    NOT NULL,
    unit          text    NOT NULL,
    case_id       text    NOT NULL,
    partner       text    NOT NULL,
    open          boolean NOT NULL,
    PRIMARY KEY (assignment_id, unit)
);
CREATE INDEX offers_told ON offers (unit, partner) WHERE open;

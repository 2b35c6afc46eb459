-- Dispatch's read models; written by the runtime from the state of each case.

-- One row per case that has been given out.
CREATE TABLE cases (
    case_id       text PRIMARY KEY,
    status        text    NOT NULL,
    title         text    NOT NULL,
    category      text    NOT NULL,
    condition     text    NOT NULL,
    priority      integer NOT NULL,
    area          text    NOT NULL,
    round         integer NOT NULL,
    filed_at      timestamptz NOT NULL,
    retrospective boolean NOT NULL,
    ruling        text,
    verdict       text,
    outcome       text
);

-- One row per assignment. `open`: it has not ended and its case is not closed; `due_at`: acknowledge_by until it is
-- acknowledged, then resolve_by; `item`: all that is shown of it.
CREATE TABLE assignments (
    assignment_id     text PRIMARY KEY,
    case_id           text    NOT NULL,
    unit              text    NOT NULL,
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
    escalation_level  integer NOT NULL,
    escalation_failed boolean NOT NULL,
    item              jsonb   NOT NULL
);
CREATE INDEX assignments_case ON assignments (case_id);
CREATE INDEX assignments_due ON assignments (due_at, assignment_id);
CREATE INDEX assignments_open ON assignments (due_at, assignment_id) WHERE open;
CREATE INDEX assignments_unit ON assignments (unit, due_at, assignment_id);
CREATE INDEX assignments_area ON assignments (area text_pattern_ops, due_at);
CREATE INDEX assignments_ended ON assignments (ended_at) WHERE ended_at IS NOT NULL;

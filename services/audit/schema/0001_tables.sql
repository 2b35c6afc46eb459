-- The log: every record of every topic, valid or not, once, under a gapless index from 0. Rows are never changed or
-- removed: the service's role may only SELECT and INSERT, and a trigger refuses everything else to every role.
CREATE TABLE log (
    index          bigint  PRIMARY KEY,
    topic          text    COLLATE "C" NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint  NOT NULL,
    key            bytea,
    headers        json    NOT NULL,  -- [[name, value in hexadecimal or null], ...]
    body           bytea,             -- the exact bytes; null for a tombstone
    stored_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid          boolean NOT NULL,
    invalidity     text    CHECK (invalidity IN ('invalid', 'forged')),  -- forged: its source may not write this topic
    reason         text,              -- why it is invalid
    -- What was read from the bytes, for queries.
    source         text    COLLATE "C",
    event_id       text    COLLATE "C",
    case_id        text    COLLATE "C",
    type           text    COLLATE "C",
    kind           text    COLLATE "C",  -- of a report, request or notice; else the ruling, outcome, verdict or step
    label          text    COLLATE "C",  -- what contracts.causes calls the event
    time           timestamptz,
    recorded_time  timestamptz,
    sequence       bigint,               -- of a request only where its partner gives one
    causation_id   text    COLLATE "C",
    actor          text    COLLATE "C",
    answers        text    COLLATE "C",  -- id of the request that a notice answers; coordinates if it was unreadable
    settles        text    COLLATE "C",  -- coordinates of the parked record that an operator retried or discarded
    duplicate_of   bigint,               -- index of the first record of the same source, id and case
    UNIQUE (topic, partition, "offset"),
    CHECK (index >= 0),
    CHECK (valid = (reason IS NULL)),
    CHECK (valid = (invalidity IS NULL))
);
CREATE INDEX log_event ON log (event_id);
CREATE INDEX log_case ON log (case_id, index);
CREATE INDEX log_invalid ON log (index) WHERE NOT valid;
CREATE INDEX log_duplicates ON log (index) WHERE duplicate_of IS NOT NULL;
CREATE INDEX log_settles ON log (settles) WHERE settles IS NOT NULL;
CREATE INDEX log_answers ON log (answers) WHERE answers IS NOT NULL;
CREATE INDEX log_requests ON log (index) WHERE topic LIKE 'from.%';

-- `l.coordinates` in the form that operators, `settles` and `answers` use.
CREATE FUNCTION coordinates(log) RETURNS text LANGUAGE sql STABLE
    RETURN $1.topic || '/' || $1.partition || '@' || $1."offset";

-- `l.notices`: the topic of the notices to the partner that wrote a request.
CREATE FUNCTION notices(log) RETURNS text LANGUAGE sql STABLE
    RETURN 'to.' || substr($1.topic, 6);

REVOKE ALL ON log FROM audit;
GRANT SELECT, INSERT ON log TO audit;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE log ENABLE ALWAYS TRIGGER log_is_append_only;

-- The cases: a pure function of the log, written in its transactions; `python -m services.audit rebuild` rebuilds them.
CREATE TABLE cases (
    case_id         text   COLLATE "C" PRIMARY KEY,
    first_index     bigint NOT NULL,
    last_index      bigint NOT NULL,
    events          bigint NOT NULL,
    status          text   COLLATE "C",  -- null while neither the report nor a ruling or verdict is known
    outcome         text   COLLATE "C",
    category        text   COLLATE "C",
    area            text   COLLATE "C",
    priority        integer,
    channel         text   COLLATE "C",
    title           text,
    external_ref    text   COLLATE "C",
    reported_at     timestamptz,
    ruled_at        timestamptz,
    filed_at        timestamptz,
    closed_at       timestamptz,
    last_at         timestamptz NOT NULL,
    ruling          text   COLLATE "C",
    merged_into     text   COLLATE "C",
    late_by_seconds bigint,
    late            boolean,
    reworks         bigint NOT NULL,
    state           bytea  NOT NULL  -- the folded case, as JSON
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX cases_in_order ON cases (first_index);
CREATE INDEX cases_open ON cases (first_index) WHERE status IS DISTINCT FROM 'closed';
CREATE INDEX cases_area ON cases (area, first_index);
CREATE INDEX cases_channel ON cases (channel, first_index);
CREATE INDEX cases_late ON cases (first_index) WHERE late;
CREATE INDEX cases_reported ON cases (reported_at);
CREATE INDEX cases_merged ON cases (merged_into, first_index) WHERE merged_into IS NOT NULL;
CREATE INDEX cases_external ON cases (external_ref) WHERE external_ref IS NOT NULL;

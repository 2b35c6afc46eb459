-- The log: every record of every topic, valid or not, once, under a gapless index from 0. Nobody changes or removes a row:
-- the service's role may only read and add, and a trigger refuses the rest to everybody.
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
    invalidity     text    CHECK (invalidity IN ('invalid', 'forged')),  -- forged: from a source that does not write there
    reason         text,              -- why it is not valid
    -- What was read from the bytes, for queries; in texts the character NUL is replaced by U+FFFD.
    source         text    COLLATE "C",
    event_id       text    COLLATE "C",
    case_id        text    COLLATE "C",
    type           text    COLLATE "C",
    kind           text    COLLATE "C",  -- of a report, request or notice; else the ruling, outcome, verdict or step
    time           timestamptz,
    recorded_time  timestamptz,
    sequence       bigint,               -- of a request only where its partner gives one
    causation_id   text    COLLATE "C",
    actor          text    COLLATE "C",
    answers        text    COLLATE "C",  -- id of the request a notice answers; of one that could not be read, its coordinates
    settles        text    COLLATE "C",  -- topic/partition@offset of the parked record an operator retried or discarded
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

-- `l.coordinates`: as operators write them, and as `settles` and `answers` name them.
CREATE FUNCTION coordinates(log) RETURNS text LANGUAGE sql STABLE
    RETURN $1.topic || '/' || $1.partition || '@' || $1."offset";

-- `l.label`: as the table of causes calls the event.
CREATE FUNCTION label(log) RETURNS text LANGUAGE sql STABLE
    RETURN CASE WHEN $1.topic LIKE 'from.%' THEN 'request'
                WHEN $1.topic LIKE 'to.%' THEN 'notice ' || $1.kind
                ELSE $1.kind END;

-- `l.notices`: the topic on which the partner that wrote a request reads.
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

-- The cases as the log tells them: a pure function of the log, written with it, and rebuilt from it at will.
CREATE TABLE cases (
    case_id         text   COLLATE "C" PRIMARY KEY,
    first_index     bigint NOT NULL,
    last_index      bigint NOT NULL,
    events          bigint NOT NULL,
    status          text   COLLATE "C",  -- null where neither the report nor a ruling or verdict is known
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
CREATE INDEX cases_reported ON cases (reported_at);
CREATE INDEX cases_merged ON cases (merged_into, first_index) WHERE merged_into IS NOT NULL;
CREATE INDEX cases_external ON cases (external_ref) WHERE external_ref IS NOT NULL;

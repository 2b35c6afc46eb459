-- Offsets at which no record lies that the log could have: a transaction's marker takes one, and a batch that cannot be
-- read is one record of the log, at the first of its offsets. Rows are never changed or removed, like those of the log.
CREATE TABLE unrecorded (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    since     bigint  NOT NULL,
    until     bigint  NOT NULL,  -- the last of them
    because   text    NOT NULL CHECK (because IN ('marker', 'unreadable')),
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, since),
    CHECK (since <= until)
);
REVOKE ALL ON unrecorded FROM audit;
GRANT SELECT, INSERT ON unrecorded TO audit;

CREATE TRIGGER unrecorded_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON unrecorded
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE unrecorded ENABLE ALWAYS TRIGGER unrecorded_is_append_only;

-- Who read the bytes of which records, and when. Rows are never changed or removed: the service's role may only SELECT
-- and INSERT, and a trigger refuses everything else to every role.
CREATE TABLE reads (
    read_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    read_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    reader       text   COLLATE "C" NOT NULL,
    route        text   COLLATE "C" NOT NULL,  -- method and path, as the service's document has them
    case_id      text   COLLATE "C",
    reporter_ref text   COLLATE "C",
    first        bigint,                       -- of a page: number of its first record
    last         bigint,                       -- and of its last
    coordinates  text   COLLATE "C"            -- of a parked record: <topic>/<partition>@<offset>
);
CREATE INDEX reads_in_time ON reads (read_at, read_id);
CREATE INDEX reads_of_reader ON reads (reader, read_at, read_id);

CREATE FUNCTION refuse_change_of_reads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was read is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER reads_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_reads();
ALTER TABLE reads ENABLE ALWAYS TRIGGER reads_are_append_only;

-- The next writer waits for the row of the one before; no other role of the database can lock it.
CREATE TABLE locks (number integer PRIMARY KEY);
INSERT INTO locks VALUES (0);

-- Rows continue the log without a gap, whoever inserts them. Indexes are unique, so all of this holds if the new ones
-- are as many as they span, and the first follows one that is there.
CREATE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    first  bigint;
    last   bigint;
    number bigint;
BEGIN
    SELECT min(index), max(index), count(*) INTO first, last, number FROM added;
    IF last - first + 1 <> number OR first > 0 AND NOT EXISTS (SELECT FROM log WHERE index = first - 1) THEN
        RAISE EXCEPTION 'the log is gapless: indexes % to % of % rows are refused', first, last, number
              USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER log_is_gapless AFTER INSERT ON log
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_gap();
ALTER TABLE log ENABLE ALWAYS TRIGGER log_is_gapless;

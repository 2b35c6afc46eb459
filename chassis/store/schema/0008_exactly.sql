-- What a statement asserts of its own parts: it raises, and PostgreSQL undoes the whole statement
-- (chassis/store/transaction.py).
CREATE FUNCTION exactly(wanted bigint, counted bigint, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF counted <> wanted THEN
        RAISE EXCEPTION USING ERRCODE = 'CG409', MESSAGE = format('%s of %s %s', counted, wanted, what);
    END IF;
END
$$;

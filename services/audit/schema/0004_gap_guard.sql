-- Without this a role could put a table of its own, named like the log, before it: PostgreSQL looks there first unless
-- the path names pg_temp.
DO $$ BEGIN EXECUTE format('ALTER FUNCTION refuse_gap() SET search_path = %I, pg_temp', current_schema()); END $$;

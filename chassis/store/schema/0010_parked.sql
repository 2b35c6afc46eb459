-- What was settled goes after a while (chassis/engine/room.py); what waits can be removed by nobody, or it would be lost
-- without a trace.
CREATE INDEX parked_settled ON parked (settled_at) WHERE status <> 'waiting';
CREATE INDEX parked_topics ON parked (topic, kind, parked_id) WHERE status = 'waiting';

CREATE FUNCTION refuse_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'parked record % waits: it is retried or discarded, not removed', OLD.parked_id
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER parked_keeps_what_waits BEFORE DELETE ON parked
    FOR EACH ROW WHEN (OLD.status = 'waiting') EXECUTE FUNCTION refuse_loss();
ALTER TABLE parked ENABLE ALWAYS TRIGGER parked_keeps_what_waits;

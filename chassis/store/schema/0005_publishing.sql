-- Own events are published from `events`, in the order of `position`: no copy of them waits in a table of its own.

-- `position` follows the order in which transactions took numbers, not that in which they were committed; numbers of
-- transactions that were rolled back are missing. Within a case it follows the version, because a case has one writer
-- at a time until its commit. Rows of received events have none. `traceparent`: the header that it is published with.
ALTER TABLE events ADD COLUMN position bigint, ADD COLUMN traceparent text;
CREATE SEQUENCE events_position OWNED BY events.position;
ALTER TABLE events ALTER COLUMN position SET DEFAULT nextval('events_position');

-- What waits in the outbox of before. That table is not written any more.
WITH waiting AS (
    SELECT o.*, nextval('events_position') AS place FROM (SELECT * FROM outbox ORDER BY position) o
)
UPDATE events e SET position = w.place, traceparent = w.traceparent FROM waiting w
 WHERE e.stream_id = w.aggregateid AND e.event_id = w.id AND e.own;
DELETE FROM outbox;

CREATE INDEX events_to_publish ON events (position) WHERE own AND position IS NOT NULL;

-- How far publishing has come, one row: everything up to `position` was sent, or is in `unsent`, or will never be there.
CREATE TABLE published (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    position bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO published DEFAULT VALUES;

-- Events that are sent apart from that order, by number: those whose topic was missing, and those that an administrator
-- wants to be sent again.
CREATE TABLE unsent (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic     text   COLLATE "C" NOT NULL,
    stream_id text   COLLATE "C" NOT NULL,
    version   bigint NOT NULL
);

-- What the broker has not acknowledged yet, under the column names of Debezium's outbox event router.
CREATE VIEW unpublished AS
SELECT e.position, e.event_id AS id, e.topic AS aggregatetype, e.stream_id AS aggregateid, e.body AS payload,
       e.traceparent
  FROM events e, published p WHERE e.own AND e.position > p.position
UNION ALL
SELECT NULL, e.event_id, u.topic, CASE WHEN e.own THEN e.stream_id ELSE convert_from(e.body, 'UTF8')::json ->> 'subject' END,
       e.body, e.traceparent
  FROM unsent u JOIN events e USING (stream_id, version);

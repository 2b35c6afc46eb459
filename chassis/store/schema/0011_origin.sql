-- By what a service knows events again that it has published and its store lacks, as an older backup does.

-- `key`: of the code that each published event bears; only this service can make it (chassis/store/origin.py). The others
-- say which store it was when it was last compared with the topics: a restored dump is another, a promoted standby, too.
CREATE TABLE origin (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    key      bytea   NOT NULL,
    system   bigint  NOT NULL,
    timeline text    NOT NULL,
    events   oid     NOT NULL
);
INSERT INTO origin (key, system, timeline, events)
SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid(), '-', ''), 'hex'), system_identifier,
       left(pg_walfile_name(pg_current_wal_lsn()), 8), 'events'::regclass
  FROM pg_control_system();

-- Such events, and the records that they follow from (`own` is false), until they are in their streams again. Of an own
-- event `cause` is the id of what it follows from, or the coordinates of the record that it speaks of.
CREATE TABLE lost (
    topic       text    COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint  NOT NULL,
    stream_id   text    COLLATE "C" NOT NULL,
    own         boolean NOT NULL,
    sequence    bigint,
    event_id    text    COLLATE "C" NOT NULL,
    cause       text    COLLATE "C",
    key         bytea,
    headers     json    NOT NULL,
    body        bytea,
    appended_ms bigint,
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX lost_stream ON lost (stream_id);
CREATE INDEX lost_cause ON lost (cause) WHERE own;

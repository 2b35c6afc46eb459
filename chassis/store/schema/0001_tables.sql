-- The tables of every service that decides, in a schema of its own name.

-- One row per case: the number of its events, of those the service published itself, and its next deadline.
CREATE TABLE streams (
    stream_id text COLLATE "C" PRIMARY KEY,
    version   bigint NOT NULL,
    sequence  bigint NOT NULL,
    due_at    timestamptz
) WITH (fillfactor = 80);
CREATE INDEX streams_due ON streams (due_at) WHERE due_at IS NOT NULL;

-- Every fact of a case in the order the service took it in: its own and the ones it received, as exact bytes.
CREATE TABLE events (
    stream_id   text   COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    own         boolean NOT NULL,
    topic       text   NOT NULL,
    event_id    text   NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    body        bytea  NOT NULL,
    PRIMARY KEY (stream_id, version)
);

-- Facts on their way to Kafka. Column names are those of Debezium's outbox event router.
CREATE TABLE outbox (
    position      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            text  NOT NULL,
    aggregatetype text  NOT NULL,
    aggregateid   text  NOT NULL,
    type          text  NOT NULL,
    payload       bytea NOT NULL,
    traceparent   text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Events that have taken effect here.
CREATE TABLE inbox (
    source      text NOT NULL,
    id          text NOT NULL,
    digest      bytea,  -- of a partner's request, to tell a repetition from another one under the same id
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, id)
);
CREATE INDEX inbox_received ON inbox USING brin (received_at);

-- Records that could not take effect, as exact bytes, with the reason. Only one that failed (a valid one, for a fault of
-- ours) holds back what follows it in its topic and case.
CREATE TABLE parked (
    parked_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status      text   NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'retried', 'discarded')),
    kind        text   NOT NULL CHECK (kind IN ('invalid', 'forged', 'unfit', 'unanswered', 'failed', 'behind')),
    reason      text   NOT NULL,
    stream_id   text   COLLATE "C",
    topic       text   NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint NOT NULL,
    key         bytea,
    headers     json   NOT NULL, -- not jsonb: a header name may hold U+0000
    body        bytea,
    appended_ms bigint,
    parked_at   timestamptz NOT NULL DEFAULT now(),
    settled_at  timestamptz,
    settled_by  text,
    UNIQUE (topic, partition, "offset")
);
CREATE INDEX parked_waiting ON parked (stream_id, topic, parked_id) WHERE status = 'waiting';
CREATE INDEX parked_status ON parked (status, parked_id);
CREATE INDEX parked_case ON parked (stream_id, parked_id);
CREATE INDEX parked_holding ON parked (stream_id) WHERE status = 'waiting' AND kind IN ('failed', 'behind');

-- Cases that an event of another case still has to reach: one transaction reaches a bounded number of them.
CREATE TABLE propagations (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id    text COLLATE "C" NOT NULL,
    event_stream text COLLATE "C" NOT NULL,
    event_id     text NOT NULL,
    fault        text,  -- why it failed; tried again when a worker starts
    UNIQUE (stream_id, event_id)
);

-- Answers already given, so that a repeated request gets the same one.
CREATE TABLE idempotency (
    caller      text NOT NULL,
    key         text NOT NULL,
    fingerprint text NOT NULL,
    status      integer,
    body        bytea,
    version     bigint, -- of the case after the command
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);

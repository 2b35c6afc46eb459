-- How far the service has read the topics that it writes itself, to find what others wrote there in its name.

CREATE TABLE tail (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next      bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- What it found, each once: another record at the same place, of a topic that was made anew, is another forgery.
CREATE TABLE forgeries (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint  NOT NULL,
    digest    bytea   NOT NULL,
    stream_id text    COLLATE "C" NOT NULL,  -- the case that the step about it belongs to
    named_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset", digest)
);
CREATE INDEX forgeries_stream ON forgeries (stream_id);

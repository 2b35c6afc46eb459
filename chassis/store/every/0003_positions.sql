-- How far each partition of the topics has taken effect: what the service itself knows, whatever the broker says of its
-- group. Written before the group's offsets are, so these are never ahead of it by themselves.
CREATE TABLE taken (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next      bigint  NOT NULL,  -- the first offset that has not taken effect
    topic_id  uuid,              -- tells the topic from one of the same name that was made later; null: not known
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- What a person had the service step over, and why. Rows stay.
CREATE TABLE skips (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    since     bigint  NOT NULL,  -- the offset that the partition stood at
    until     bigint,            -- the last offset that was stepped over; null until a worker has done it
    asked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_by  text    NOT NULL,
    reason    text    NOT NULL,
    found     text,              -- what was stepped over, in words
    done_at   timestamptz,
    topic_id  uuid,
    PRIMARY KEY (topic, partition, since, asked_at)
);

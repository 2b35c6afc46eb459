-- Who may read which case until when, beyond what the rule allows; the reason is in the case's step `accessed`.
CREATE TABLE accesses (
    subject   text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    until     timestamptz NOT NULL,
    PRIMARY KEY (subject, stream_id)
);

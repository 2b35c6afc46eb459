-- Triage's read model. A case has one row from its report on.

CREATE TABLE cases (
    case_id       text PRIMARY KEY,
    status        text        NOT NULL,
    queue         text,
    queue_since   timestamptz,
    queue_due_at  timestamptz,
    queue_words   text,
    queue_unit    text,
    overdue       boolean     NOT NULL,
    category      text,
    priority      integer,
    area          text,
    community     text,
    grid          text,
    title         text        NOT NULL,
    channel       text        NOT NULL,
    external_ref  text,
    reporter_ref  text,
    reported_at   timestamptz NOT NULL,
    retrospective boolean     NOT NULL,
    lat           float8,
    lon           float8,
    round         integer     NOT NULL,
    open          boolean     NOT NULL,
    merged_into   text,
    outcome       text
) WITH (fillfactor = 80);

-- What a new report may repeat: open cases of the category in the community, by position where they have one.
CREATE INDEX cases_near ON cases (community, category, lat) WHERE open;

CREATE INDEX cases_queue ON cases (queue_due_at, case_id) WHERE queue IS NOT NULL;
CREATE INDEX cases_reported ON cases (reported_at, case_id);
CREATE INDEX cases_area ON cases (area text_pattern_ops, reported_at);
CREATE INDEX cases_merged ON cases (merged_into) WHERE merged_into IS NOT NULL;

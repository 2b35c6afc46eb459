-- Triage's read model. A case has one row from its report on.

CREATE TABLE cases (
    case_id       text COLLATE "C" PRIMARY KEY,
    status        text        NOT NULL,
    queue         text,
    queue_since   timestamptz,
    queue_due_at  timestamptz,
    queue_words   text,
    queue_unit    text COLLATE "C",
    overdue       boolean     NOT NULL,
    category      text COLLATE "C",
    priority      integer,
    area          text COLLATE "C",
    community     text COLLATE "C",
    grid          text COLLATE "C",
    title         text        NOT NULL,
    channel       text        NOT NULL,
    external_ref  text COLLATE "C",
    reporter_ref  text,
    reported_at   timestamptz NOT NULL,
    retrospective boolean     NOT NULL,
    lat           float8,
    lon           float8,
    round         integer     NOT NULL,
    open          boolean     NOT NULL,
    merged_into   text COLLATE "C",
    outcome       text
) WITH (fillfactor = 80);

-- What a new report may be a duplicate of: open cases of the category in the community, by position if they have one.
CREATE INDEX cases_near ON cases (community, category, lat) WHERE open;

CREATE INDEX cases_queue ON cases (queue_due_at, case_id) WHERE queue IS NOT NULL;
CREATE INDEX cases_reported ON cases (reported_at, case_id);
CREATE INDEX cases_status ON cases (status, reported_at, case_id);
CREATE INDEX cases_external_ref ON cases (external_ref) WHERE external_ref IS NOT NULL;
CREATE INDEX cases_area ON cases (area, reported_at);
CREATE INDEX cases_merged ON cases (merged_into) WHERE merged_into IS NOT NULL;

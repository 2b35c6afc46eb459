-- Intake's own tables. Identifiers and paths have the collation "C": a path's descendants are then a range of a plain
-- index, and joins with streams and events use theirs.

-- A report and what became of it, for lists; the report's words are in its event.
CREATE TABLE reports (
    case_id              text COLLATE "C" PRIMARY KEY,
    reported_at          timestamptz NOT NULL,
    status               text NOT NULL,
    outcome              text,
    reason               text,
    closed_at            timestamptz,
    filed_at             timestamptz,
    merged_into          text COLLATE "C",
    channel              text NOT NULL,
    title                text NOT NULL,
    category             text COLLATE "C",
    area                 text COLLATE "C",
    external_ref         text COLLATE "C",
    reporter_ref         text COLLATE "C",
    filed_by             text COLLATE "C" NOT NULL,
    reported_by          text COLLATE "C",
    retrospective        boolean NOT NULL,
    supplement_count     integer NOT NULL,
    withdrawal_requested boolean NOT NULL,
    upheld_reason        text
) WITH (fillfactor = 80);
CREATE INDEX reports_reported ON reports (reported_at, case_id);
CREATE INDEX reports_status ON reports (status, reported_at, case_id);
CREATE INDEX reports_area ON reports (area, reported_at);
CREATE INDEX reports_filed_by ON reports (filed_by, reported_at, case_id);
CREATE INDEX reports_external_ref ON reports (external_ref) WHERE external_ref IS NOT NULL;
CREATE INDEX reports_merged_into ON reports (merged_into) WHERE merged_into IS NOT NULL;

-- Who the references stand for: the only place with a person's name and number. `subject` is the account of a person who
-- reports with a login of their own.
CREATE TABLE reporters (
    reporter_ref text COLLATE "C" PRIMARY KEY,
    subject      text COLLATE "C" UNIQUE,
    name         text,
    phone        text
);

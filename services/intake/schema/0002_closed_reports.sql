-- What the reporter says of a closed report.
ALTER TABLE reports ADD COLUMN rating smallint, ADD COLUMN reopening_requested boolean NOT NULL DEFAULT false;
CREATE INDEX reports_reopening ON reports (reported_at, case_id) WHERE reopening_requested;

-- What reporters say of their closed cases: which ratings count, and who asked to reopen a case.
ALTER TABLE ratings ADD COLUMN counts boolean NOT NULL DEFAULT true; -- not if whoever rates it handled the case

ALTER TABLE cases ADD COLUMN reopening_requested_at timestamptz,
    ADD COLUMN reopening_requested_by text COLLATE "C",
    ADD COLUMN reopening_reason text;
CREATE INDEX cases_reopening ON cases (listed_at, case_id) WHERE reopening_requested_at IS NOT NULL;

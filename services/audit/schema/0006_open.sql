-- A case changes its status some four times, and an index that names the status makes each of them a new entry in every
-- index. This column changes once, so most updates of a row touch no index (HOT). It is never null, but does not say so:
-- the tables through which rows are written are made like this one, and leave it out.
ALTER TABLE cases ADD COLUMN open boolean GENERATED ALWAYS AS (status IS DISTINCT FROM 'closed') STORED;
DROP INDEX cases_open;
CREATE INDEX cases_open ON cases (first_index) WHERE open;

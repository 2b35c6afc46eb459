-- rebuild
-- Who may read an assignment: by its category, and the units that had it once.
ALTER TABLE assignments ADD COLUMN category text COLLATE "C";
ALTER TABLE offers ADD COLUMN had boolean NOT NULL DEFAULT false;  -- it was given to the unit, or acknowledged by it
CREATE INDEX offers_unit ON offers (unit, assignment_id);

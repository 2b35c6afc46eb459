-- Why, where that is no step of a case: for the erasure of a person by somebody else.
ALTER TABLE reads ADD COLUMN reason text;

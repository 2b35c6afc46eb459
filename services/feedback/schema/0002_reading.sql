-- Which cases the people of a unit may read: those that were given to it, or were its own in the end.
CREATE INDEX assignments_unit ON assignments (unit);
CREATE INDEX assignments_given_to ON assignments (given_to);

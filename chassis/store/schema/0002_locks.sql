-- Locks between the workers of this service, which no other role of the database can take.

-- A transaction locks rows of it until it ends; nothing is ever written. 0 is for what one transaction does at a time,
-- the others are shared by what is locked by name.
CREATE TABLE locks (number integer PRIMARY KEY);
INSERT INTO locks SELECT generate_series(0, 4096);

-- The session whose relay publishes, one row. Another relay takes over when that session has ended.
CREATE TABLE leader (
    single          boolean PRIMARY KEY DEFAULT true CHECK (single),
    pid             integer,
    connected_since timestamptz
);
INSERT INTO leader DEFAULT VALUES;

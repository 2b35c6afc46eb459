-- How far publishing has come beyond the first gap, for whoever asks how old the oldest unsent fact is: everything up to
-- `sent` was sent, but for positions in `missing`, where a transaction may still put a fact. A start begins at
-- `position` all the same. A relay of before moves `position` alone, and that is enough.
ALTER TABLE published ADD COLUMN sent    bigint         NOT NULL DEFAULT 0,
                      ADD COLUMN missing int8multirange NOT NULL DEFAULT '{}';

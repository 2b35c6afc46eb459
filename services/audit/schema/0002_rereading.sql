-- rebuild
-- A record that could not be taken in and can be now is stored again, under the next index: its first row stays as it
-- was. `failed`: it is valid, but audit could not take it in.
ALTER TABLE log ADD COLUMN reread_of bigint;  -- index of the same record as it came
ALTER TABLE log DROP CONSTRAINT log_topic_partition_offset_key;
ALTER TABLE log ADD UNIQUE (topic, partition, "offset", valid);
ALTER TABLE log ADD CHECK (valid OR reread_of IS NULL);
ALTER TABLE log DROP CONSTRAINT log_invalidity_check;
ALTER TABLE log ADD CONSTRAINT log_invalidity_check CHECK (invalidity IN ('invalid', 'forged', 'failed'));
CREATE UNIQUE INDEX log_rereads ON log (reread_of) WHERE reread_of IS NOT NULL;

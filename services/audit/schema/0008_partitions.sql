-- The partition in which a record's key puts it, of the topics that services write (chassis/kafka/partitions.py). Null of
-- what partners write, who may spread their keys as they like, of a record without a key, and of what came before.
ALTER TABLE log ADD COLUMN home integer;
CREATE INDEX log_foreign ON log (case_id, index) WHERE home <> partition;

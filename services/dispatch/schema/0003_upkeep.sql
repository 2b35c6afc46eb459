-- As for the tables of the event store (chassis/store/schema/0006_upkeep.sql): looked at when half is new.
ALTER TABLE cases SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000, fillfactor = 80);
ALTER TABLE assignments SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000);
ALTER TABLE assignments ALTER COLUMN item SET STATISTICS 0;

-- As for the tables of the event store (chassis/store/schema/0006_upkeep.sql): looked at when half is new.
ALTER TABLE reports SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000);
ALTER TABLE reports ALTER COLUMN title SET STATISTICS 0, ALTER COLUMN upheld_reason SET STATISTICS 0;

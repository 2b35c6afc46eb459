-- As for the tables of the event store (chassis/store/schema/0006_upkeep.sql): looked at when half is new.
ALTER TABLE cases SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000);
ALTER TABLE cases ALTER COLUMN title SET STATISTICS 0, ALTER COLUMN handlers SET STATISTICS 0,
    ALTER COLUMN handling_units SET STATISTICS 0, ALTER COLUMN scores SET STATISTICS 0;
ALTER TABLE rulings SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000);
ALTER TABLE assignments SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000);
ALTER TABLE assignments ALTER COLUMN task SET STATISTICS 0, ALTER COLUMN extended SET STATISTICS 0,
    ALTER COLUMN handled_by SET STATISTICS 0;

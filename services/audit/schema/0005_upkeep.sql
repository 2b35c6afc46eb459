-- As for the tables of the event store (chassis/store/schema/0006_upkeep.sql): looked at when half is new.
ALTER TABLE log SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000,
                     autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE log ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN headers SET STATISTICS 0,
    ALTER COLUMN key SET STATISTICS 0;
ALTER TABLE cases SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000);
ALTER TABLE cases ALTER COLUMN state SET STATISTICS 0, ALTER COLUMN title SET STATISTICS 0;

-- PostgreSQL looks at a table anew when a tenth of it is new. The tables of a service grow all day, and what it learns of
-- them is the same each time: that identifiers are unique. So it looks when half is new, and not at bytes, by which
-- nobody searches.
ALTER TABLE events SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000,
                        autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE events ALTER COLUMN body SET STATISTICS 0;
ALTER TABLE inbox SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000,
                       autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE inbox ALTER COLUMN digest SET STATISTICS 0;
ALTER TABLE streams SET (autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 20000,
                         autovacuum_vacuum_threshold = 5000);
ALTER TABLE parked ALTER COLUMN body SET STATISTICS 0;
ALTER TABLE idempotency ALTER COLUMN body SET STATISTICS 0;

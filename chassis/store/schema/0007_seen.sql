-- Another service's fact that has taken effect is known by its case's events, not by a row of its own. The table keeps
-- what is not in the stream of the case that it names: partners' requests, unreadable records, and what was parked.
-- Its rows of before stay true.

-- The new name keeps out workers of before: they know a fact by its row here alone, and would let it take effect again.
-- They wait, as for any table that is not there yet.
ALTER TABLE inbox RENAME TO seen;
ALTER INDEX inbox_pkey RENAME TO seen_pkey;
ALTER INDEX inbox_received RENAME TO seen_received;

-- Invariants of each database after ANALYZE. Each row is a problem.

SELECT format('table %s has rows and no statistics', c.oid::regclass)
FROM pg_class c
WHERE c.oid >= 16384 AND relkind IN ('r', 'm') AND relpersistence <> 't' AND relispopulated AND pg_relation_size(c.oid) > 0
    AND EXISTS (SELECT FROM pg_attribute a WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
    AND NOT EXISTS (SELECT FROM pg_statistic s WHERE starelid = c.oid);

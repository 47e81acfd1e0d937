-- What the planner knows of the largest tables of the current database, from the catalogs alone: planning a query on a table
-- would evaluate users' expressions. OID, schema, name, pages, estimated rows (NULL if they were never counted), columns that
-- ANALYZE looks at, columns with statistics, extended statistics objects with data.
-- Run by table_statistics.rs on both servers, on any version. A partitioned table stands for its whole tree. $1 has the OIDs of
-- the only tables to look at, or is empty. Sizes are those of the last VACUUM or ANALYZE: a function would wait for locks. A
-- table that neither has seen has no statistics. The placeholder says whether there are statistics of expressions, which 13
-- does not have.
WITH trees AS (
  SELECT COALESCE(pg_partition_root(c.oid)::oid, c.oid) AS root,
    sum(c.relpages) FILTER (WHERE c.relkind <> 'p') AS pages,
    sum(c.reltuples::float8) FILTER (WHERE c.relkind <> 'p' AND (c.reltuples > 0 OR c.reltuples = 0 AND c.relpages > 0)) AS rows
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  GROUP BY 1
)
SELECT r.oid, n.nspname::text, r.relname::text, COALESCE(t.pages, 0)::int8, t.rows,
  (SELECT count(*) FROM pg_attribute a
    WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0
      AND a.attgenerated <> 'v'),
  (SELECT count(*) FROM pg_statistic s
    WHERE s.starelid = r.oid AND s.staattnum > 0 AND s.stainherit = (r.relkind = 'p')),
  (SELECT count(DISTINCT d.stxoid) FROM pg_statistic_ext e JOIN pg_statistic_ext_data d ON d.stxoid = e.oid
    WHERE e.stxrelid = r.oid
      AND (d.stxdndistinct IS NOT NULL OR d.stxddependencies IS NOT NULL OR d.stxdmcv IS NOT NULL OR {expressions}))
FROM trees t
JOIN pg_class r ON r.oid = t.root
JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE COALESCE(cardinality($1::oid[]), 0) = 0 OR r.oid = ANY ($1)
ORDER BY COALESCE(t.pages, 0) DESC, r.oid
LIMIT 10

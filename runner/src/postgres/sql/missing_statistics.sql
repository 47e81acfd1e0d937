-- Whether statistics of the table c are missing: of a column, of an extended statistics object, which pg_upgrade never
-- carries, of an expression of an index; of a parent's children. The same as what vacuumdb --missing-stats-only asks.
-- Run by statistics.rs on the new server, as a part of tables_for_statistics.sql, on versions from 18 on.
(c.reltuples <> 0
  AND (EXISTS (SELECT FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0
        AND a.attgenerated <> 'v'
        AND NOT EXISTS (SELECT FROM pg_statistic s
          WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum AND s.stainherit = (c.relkind = 'p')))
    OR EXISTS (SELECT FROM pg_statistic_ext e
      WHERE e.stxrelid = c.oid AND e.stxstattarget IS DISTINCT FROM 0
        AND NOT EXISTS (SELECT FROM pg_statistic_ext_data d
          WHERE d.stxoid = e.oid AND d.stxdinherit = (c.relkind = 'p')))
    OR c.relkind <> 'p' AND EXISTS (SELECT FROM pg_index i
      JOIN pg_attribute a ON a.attrelid = i.indexrelid
      WHERE i.indrelid = c.oid AND i.indkey[a.attnum - 1] = 0 AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attstattarget IS DISTINCT FROM 0
        AND NOT EXISTS (SELECT FROM pg_statistic s
          WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum AND NOT s.stainherit))
    OR c.relhassubclass AND c.relkind <> 'p' AND EXISTS (SELECT FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0
        AND a.attgenerated <> 'v'
        AND NOT EXISTS (SELECT FROM pg_statistic s
          WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum AND s.stainherit))))

-- What initdb needs for a cluster that matches this one; one row, also if template0 was dropped or renamed, which a check of
-- its own reports.
-- Run by client/cluster_shape.rs on the serving database, on any version. {provider}, {locale} and {rules} are
-- the columns of that version: locale providers exist since 15, ICU rules since 16, "datlocale" since 17.
SELECT
  (SELECT rolname::text FROM pg_authid WHERE oid = 10) AS install_user,
  pg_encoding_to_char(encoding)::text AS encoding,
  datcollate::text AS collate,
  datctype::text AS ctype,
  {provider}::text AS provider,
  {locale}::text AS locale,
  {rules}::text AS rules,
  (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS wal_segment_size,
  (SELECT setting FROM pg_settings WHERE name = 'data_checksums') AS data_checksums,
  (SELECT setting FROM pg_settings WHERE name = 'lc_messages') AS lc_messages,
  (SELECT setting FROM pg_settings WHERE name = 'lc_monetary') AS lc_monetary,
  (SELECT setting FROM pg_settings WHERE name = 'lc_numeric') AS lc_numeric,
  (SELECT setting FROM pg_settings WHERE name = 'lc_time') AS lc_time
FROM pg_database
ORDER BY datname <> 'template0', datname <> 'template1', oid
LIMIT 1

-- The collations that something in the current database uses, the version that the server has of each, and by what it sorts
-- and classifies text: LC_COLLATE, LC_CTYPE, encoding. The database's default is last, as the OID 100.
-- Run by collation/versions.rs on the old and on the new server, on any version. The placeholders are the columns of
-- that version: ICU locales exist since 15 and are called "locale" since 17; pg_database_collation_actual_version()
-- exists since 15.
--
-- Whatever uses a collation depends on it. Only for pinned ones, such as "unicode", the system catalog does not record
-- the dependents: those are the OIDs below 12000 (FirstUnpinnedObjectId).
SELECT c.oid, format('%I.%I', n.nspname, c.collname), c.collprovider::text, {collation_locale},
  pg_collation_actual_version(c.oid), COALESCE(c.collcollate, '')::text, COALESCE(c.collctype, '')::text, getdatabaseencoding()::text
FROM pg_collation c
JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE c.collprovider <> 'd'
  AND (EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_collation'::regclass AND refobjid = c.oid)
    OR c.oid < 12000 AND (
      EXISTS (SELECT FROM pg_attribute WHERE attcollation = c.oid AND attrelid >= 16384)
      OR EXISTS (SELECT FROM pg_type WHERE typcollation = c.oid AND typtype = 'd' AND oid >= 16384)
      OR EXISTS (SELECT FROM pg_range WHERE rngcollation = c.oid)
      OR EXISTS (SELECT FROM pg_partitioned_table WHERE c.oid = ANY(partcollation))
      OR EXISTS (SELECT FROM pg_index WHERE indexrelid >= 16384
        AND concat(indexprs::text, indpred::text) LIKE '%collid ' || c.oid || ' %')
      OR EXISTS (SELECT FROM pg_constraint WHERE conbin::text LIKE '%collid ' || c.oid || ' %')))
UNION ALL
SELECT 100::oid, 'the default of ' || quote_ident(d.datname), {default_provider}::text, {default_locale},
  {default_version}, d.datcollate::text, d.datctype::text, getdatabaseencoding()::text
FROM pg_database d
WHERE d.datname = current_database()
ORDER BY 1

-- The schemas in which an extension of the current database has functions of a name.
-- Run by client/update_function.rs on the new server, on any version since 11. $1 is the extension, $2 the name.
SELECT DISTINCT n.nspname::text
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  AND d.classid = 'pg_proc'::regclass
JOIN pg_proc p ON p.oid = d.objid AND p.prokind = 'f'
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE e.extname::text = $1 AND p.proname::text = $2
ORDER BY 1

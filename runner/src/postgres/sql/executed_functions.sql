-- The user-defined functions that were called in the current database: function, and the first five objects whose
-- definitions use it.
-- Run by restore_code.rs on the scratch server, on any version, after a restore with track_functions = all.
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
  ARRAY(SELECT pg_describe_object(d.classid, d.objid, 0)
    FROM pg_depend d
    WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype IN ('n', 'a')
    GROUP BY d.classid, d.objid
    -- A partition key or a constraint is the likely caller.
    ORDER BY (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT partrelid FROM pg_partitioned_table)) DESC,
      d.classid = 'pg_constraint'::regclass DESC, d.classid, d.objid
    LIMIT 5)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.oid >= 16384 AND pg_stat_get_function_calls(p.oid) > 0
ORDER BY 1

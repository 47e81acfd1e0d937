-- The functions that the view pg_temp.pgops_update_function calls: their signature, whether they belong to an extension, and
-- whether only superusers can change them.
-- Run by client/update_function.rs on the new server, on any version since 11. $1 is the extension.
SELECT p.oid::regprocedure::text,
  EXISTS (
    SELECT FROM pg_depend m
    JOIN pg_extension e ON e.oid = m.refobjid
    WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid AND m.refclassid = 'pg_extension'::regclass
      AND m.deptype = 'e' AND e.extname::text = $1),
  o.rolsuper
FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
JOIN pg_proc p ON p.oid = d.refobjid
JOIN pg_authid o ON o.oid = p.proowner
WHERE r.ev_class = 'pg_temp.pgops_update_function'::regclass

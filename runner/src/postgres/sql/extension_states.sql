-- What decides how extensions of the current database are updated or dropped: name, version, the version
-- that the server's own image offers, whether they have tables, how many objects depend on them, and the first three of
-- these.
-- Run by extension/state.rs on the serving database, on any version. $1 has the names of the extensions.
--
-- Members are followed by the index of pg_depend, to what depends on them. A part of a member, such as the rule of a view
-- or an index of a table, uses other members and is dropped with it: it does not count.
WITH members (extension, classid, objid) AS (
  SELECT e.oid, d.classid, d.objid
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  WHERE e.extname::text = ANY ($1::text[])
), targets (extension, classid, objid) AS (
  SELECT extension, classid, objid
  FROM members
  UNION ALL
  -- Other extensions may require it.
  SELECT oid, 'pg_extension'::regclass::oid, oid
  FROM pg_extension
  WHERE extname::text = ANY ($1::text[])
), dependents AS (
  SELECT DISTINCT t.extension, d.classid, d.objid
  FROM targets t
  JOIN pg_depend d ON d.refclassid = t.classid AND d.refobjid = t.objid AND d.deptype IN ('n', 'a')
  WHERE NOT EXISTS (
      SELECT FROM members m
      WHERE m.extension = t.extension AND m.classid = d.classid AND m.objid = d.objid)
    AND NOT EXISTS (
      SELECT FROM pg_depend p
      JOIN members m ON m.classid = p.refclassid AND m.objid = p.refobjid
      WHERE p.classid = d.classid AND p.objid = d.objid AND p.deptype IN ('i', 'a') AND m.extension = t.extension)
)
SELECT e.extname::text,
  e.extversion,
  a.default_version,
  EXISTS (
    SELECT FROM members m
    JOIN pg_class c ON c.oid = m.objid
    WHERE m.extension = e.oid AND m.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'm')),
  (SELECT count(*) FROM dependents d WHERE d.extension = e.oid),
  ARRAY(
    SELECT pg_describe_object(d.classid, d.objid, 0)
    FROM dependents d
    WHERE d.extension = e.oid
    ORDER BY d.classid, d.objid
    LIMIT 3)
FROM pg_extension e
LEFT JOIN pg_available_extensions a ON a.name = e.extname
WHERE e.extname::text = ANY ($1::text[])
ORDER BY e.extname

-- The extension that each of some objects of the current database uses: class and OID of the object, and the extension.
-- Run by extension/members.rs on the serving database, on any version. $1 has the classes of the objects, $2 their OIDs,
-- $3 the names of the extensions.
WITH objects AS (
  SELECT DISTINCT o.classid, o.objid
  FROM unnest($1::oid[], $2::oid[]) AS o (classid, objid)
), parts (classid, objid, part_class, part) AS (
  SELECT classid, objid, classid, objid
  FROM objects
  UNION ALL
  -- The index of a constraint and the rule of a view use what their wholes use by definition.
  SELECT o.classid, o.objid, d.classid, d.objid
  FROM objects o
  JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid AND d.deptype = 'i'
)
SELECT p.classid, p.objid, min(e.extname::text)
FROM parts p
JOIN pg_depend u ON u.classid = p.part_class AND u.objid = p.part
JOIN pg_depend m ON m.classid = u.refclassid AND m.objid = u.refobjid AND m.deptype = 'e'
JOIN pg_extension e ON e.oid = m.refobjid
WHERE e.extname::text = ANY ($3::text[])
GROUP BY p.classid, p.objid

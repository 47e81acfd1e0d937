-- The extension that each of some objects of the current database belongs to, by itself or as a part of another object:
-- class and OID of the object, and the extension.
-- Run by extension/members.rs on the serving database, on any version. $1 has the classes of the objects, $2 their OIDs.
WITH objects AS (
  SELECT DISTINCT o.classid, o.objid
  FROM unnest($1::oid[], $2::oid[]) AS o (classid, objid)
), wholes AS (
  SELECT o.classid, o.objid, o.classid AS whole_class, o.objid AS whole
  FROM objects o
  UNION ALL
  -- An index or a constraint of a table, a rule of a view, an array type of a type.
  SELECT o.classid, o.objid, d.refclassid, d.refobjid
  FROM objects o
  JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('i', 'a')
)
SELECT w.classid, w.objid, min(e.extname::text)
FROM wholes w
JOIN pg_depend d ON d.classid = w.whole_class AND d.objid = w.whole AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid
GROUP BY w.classid, w.objid

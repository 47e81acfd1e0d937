-- The operator classes whose family calls functions of $1: OID, family, type, and the functions.
-- Run by restore_code/stored.rs on the serving database, on any version.
SELECT c.oid, c.opcfamily, c.opcintype, array_agg(DISTINCT f.function)
FROM pg_opclass c
JOIN (SELECT p.amprocfamily AS family, p.amproc::oid AS function
  FROM pg_amproc p
  UNION ALL
  SELECT a.amopfamily, o.oprcode::oid
  FROM pg_amop a
  JOIN pg_operator o ON o.oid = a.amopopr) AS f ON f.family = c.opcfamily
WHERE f.function = ANY($1::oid[])
GROUP BY c.oid, c.opcfamily, c.opcintype

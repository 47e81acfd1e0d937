-- The valid indexes of the current database that have one of the changed collations, or whose expressions, predicate or
-- operators depend on what has changed. Composite types, ranges and jsonb, whose strings sort by the database's default,
-- have no collation of their own but still compare by one: "sensitive" has such types, with the domains over them and the
-- arrays of them, and says of each whether only B-trees compare it so.
-- Run by collation/indexes.rs on the new server, or on the scratch server, on any version. $1 has the collations that
-- sort differently, $2 the regular expression of dependent_expressions.sql, $3 the extensions whose operator classes
-- depend on what has changed.
--
-- There may be 100,000 indexes and no statistics: each condition is a query of its own that reads each catalog once. A
-- subquery for each index would be planned as a loop over all of them.
WITH RECURSIVE sensitive (type, btree_only) AS (
  SELECT t.oid, t.oid = 'jsonb'::regtype
  FROM pg_type t
  LEFT JOIN pg_range r ON r.rngtypid = t.oid
  WHERE cardinality($1::oid[]) > 0
    AND (t.typtype IN ('c', 'm')
      OR t.oid = 'jsonb'::regtype AND 100 = ANY($1::oid[])
      OR t.typtype = 'r' AND r.rngcollation = ANY($1::oid[]))
  UNION
  SELECT t.oid, s.btree_only
  FROM sensitive s
  JOIN pg_type t
    ON CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN t.typcategory = 'A' THEN t.typelem END = s.type
), classes (oid) AS (
  SELECT d.objid
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
  WHERE e.extname = ANY($3) AND d.deptype = 'e' AND d.classid = 'pg_opclass'::regclass
), affected (oid) AS (
  SELECT indexrelid
  FROM pg_index
  WHERE indcollation::oid[] && $1::oid[]
    OR concat(indexprs::text, indpred::text) ~ $2
    OR indclass::oid[] && ARRAY(SELECT oid FROM classes)
  UNION
  SELECT k.attrelid
  FROM sensitive s
  JOIN pg_attribute k ON k.atttypid = s.type
  JOIN pg_class c ON c.oid = k.attrelid
  JOIN pg_am a ON a.oid = c.relam
  WHERE c.relkind = 'i' AND (a.amname = 'btree' OR NOT s.btree_only)
)
SELECT n.nspname::text, c.relname::text, format('%I.%I', tn.nspname, t.relname), t.oid,
  a.amname::text, pg_relation_size(c.oid), i.indisexclusion, n.nspname = 'pg_catalog', c.oid
FROM affected f
JOIN pg_index i ON i.indexrelid = f.oid
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't'

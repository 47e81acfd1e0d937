-- The valid indexes of the current database that have one of the changed collations, or whose expressions, predicate or
-- operators depend on what has changed. Composite types, ranges and jsonb, whose strings sort by the database's default,
-- have no collation of their own but still compare by one: "keys" has the types of index columns down to the base
-- types of domains and the elements of arrays.
-- Run by collation/indexes.rs on the new server, or on the scratch server, on any version. $1 has the collations that
-- sort differently, $2 the regular expression of dependent_expressions.sql, $3 the extensions whose operator classes
-- depend on what has changed.
WITH RECURSIVE keys (index, type) AS (
  SELECT k.attrelid, k.atttypid
  FROM pg_attribute k
  JOIN pg_index i ON i.indexrelid = k.attrelid
  UNION
  SELECT k.index, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
  FROM keys k
  JOIN pg_type t ON t.oid = k.type
  WHERE t.typtype = 'd' OR t.typcategory = 'A')
SELECT n.nspname::text, c.relname::text, format('%I.%I', tn.nspname, t.relname), t.oid,
  a.amname::text, pg_relation_size(c.oid), i.indisexclusion, n.nspname = 'pg_catalog'
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't'
  AND (i.indcollation::oid[] && $1::oid[]
    OR concat(i.indexprs::text, i.indpred::text) ~ $2
    OR EXISTS (SELECT FROM pg_depend d
      JOIN pg_extension e ON e.oid = d.refobjid
      WHERE d.deptype = 'e' AND d.classid = 'pg_opclass'::regclass AND d.objid = ANY(i.indclass)
        AND e.extname = ANY($3))
    OR EXISTS (SELECT FROM keys k
      JOIN pg_type t ON t.oid = k.type
      WHERE k.index = c.oid AND cardinality($1::oid[]) > 0
        AND (t.typtype IN ('c', 'm')
          OR t.oid = 'jsonb'::regtype AND a.amname = 'btree' AND 100 = ANY($1::oid[])
          OR t.typtype = 'r' AND (SELECT rngcollation FROM pg_range WHERE rngtypid = t.oid) = ANY($1::oid[]))))

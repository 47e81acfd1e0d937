-- The valid indexes of the current database whose access method and one of whose operator classes match a regular
-- expression, for a duty of release notes.
-- Run by duties/objects.rs on the old server and on the new one, on any version. The placeholders are conditions on
-- the database "d" and on the index "i". $1 is the expression for the method, $2 that for the operator class; $3 says whether sizes are measured,
-- which waits for locks on the index.
SELECT n.nspname::text, c.relname::text, format('%I.%I', tn.nspname, t.relname), t.oid,
  a.amname::text, CASE WHEN $3::bool THEN COALESCE(pg_relation_size(c.oid), 0) ELSE 0::int8 END, i.indisexclusion,
  n.nspname = 'pg_catalog', c.oid
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't' AND a.amname::text ~ $1::text
  AND EXISTS (SELECT FROM pg_opclass o WHERE o.oid = ANY(i.indclass) AND o.opcname::text ~ $2::text)
  AND EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND ({database}))
  AND ({index})

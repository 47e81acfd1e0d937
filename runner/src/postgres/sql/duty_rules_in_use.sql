-- The places of those rules of duty_indexes.sql by which the current database has an index, whatever the rule's conditions on
-- the database and on the index are: to ask this once takes less than to plan the query of each rule.
-- Run by duties/objects.rs on the old server, on any version. $1 has the regular expressions for the methods, $2 those for the
-- operator classes, in the order of the rules.
SELECT r.place
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS r (method, operator_class, place)
WHERE EXISTS (SELECT FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am a ON a.oid = c.relam
  WHERE c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't' AND a.amname::text ~ r.method
    AND EXISTS (SELECT FROM pg_opclass o WHERE o.oid = ANY(i.indclass) AND o.opcname::text ~ r.operator_class))

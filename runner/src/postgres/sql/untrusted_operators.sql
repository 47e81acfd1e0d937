-- The operators that call functions of $1: OID, and the function.
-- Run by restore_code/stored.rs on the serving database, on any version.
SELECT o.oid, o.oprcode::oid
FROM pg_operator o
WHERE o.oprcode::oid = ANY($1::oid[])

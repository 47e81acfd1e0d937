-- Those of the libraries in $1 that exist in the serving pod, named as functions name them: with or without ".so", and
-- without a path in the server's own directory.
-- Run by client/libraries.rs on the old server, on any version.
SELECT l.name
FROM unnest($1::text[]) AS l (name)
CROSS JOIN (SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR') AS d
CROSS JOIN LATERAL (SELECT CASE
  WHEN l.name LIKE '/%' THEN l.name
  WHEN l.name LIKE '$libdir/%' THEN d.setting || substr(l.name, 8)
  ELSE d.setting || '/' || l.name END) AS p (path)
WHERE EXISTS (SELECT FROM (VALUES (''), ('.so')) AS s (suffix)
  WHERE (pg_stat_file(p.path || s.suffix, true)).size IS NOT NULL)

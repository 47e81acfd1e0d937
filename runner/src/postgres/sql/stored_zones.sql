-- What results that the database stores may take as a time zone, as kind and text: a "constant" (in the expressions, and the
-- setting TimeZone of functions), the "code" of a function, or a value of "rows" (no text).
-- Run by references/stored_zones.rs on the serving, the scratch or the new server, after stored_functions.sql.
--
-- A text is stored byte by byte: [CONST :consttype 25 ... :constvalue 7 [ 28 0 0 0 85 84 67 ]], after four bytes of its length.
, zone_function (calls, computed) AS (
  SELECT concat(':funcid (', string_agg(oid::text, '|'), ') '), concat(':funcid (', string_agg(oid::text, '|'), ') [^{]*\{(?!CONST )')
  FROM pg_proc
  WHERE proname = 'timezone' AND proargtypes[0] = 'text'::regtype AND pronamespace = 'pg_catalog'::regnamespace),
with_zones (expression, is_computed) AS (
  SELECT s.expression, s.expression ~ z.computed FROM stored s, zone_function z WHERE s.expression ~ z.calls),
constants (bytes) AS (
  SELECT DISTINCT string_to_array(trim(m[1]), ' ')::int[]
  FROM with_zones,
    regexp_matches(expression, ':consttype (?:25|1042|1043) [^}]*:constvalue \d+ \[ (?:\d+ ){4}((?:\d+ ){1,64})\]', 'g') AS m)
SELECT 'constant', (SELECT string_agg(chr(byte), '' ORDER BY n) FROM unnest(bytes) WITH ORDINALITY AS b (byte, n))
FROM constants
WHERE 128 > ALL (bytes) AND 0 < ALL (bytes)
UNION
SELECT 'constant', substr(setting, strpos(setting, '=') + 1)
FROM called c
JOIN pg_proc p ON p.oid = c.oid
CROSS JOIN unnest(p.proconfig) AS setting
WHERE setting ~* '^timezone='
UNION
SELECT 'code', code FROM functions WHERE code ~* 'at\s+time\s+zone|\mtimezone\s*\('
UNION
SELECT 'rows', '' FROM with_zones WHERE is_computed

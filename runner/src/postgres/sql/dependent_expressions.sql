-- A regular expression that matches stored expressions (pg_node_tree) whose result may change, such as
-- "[OPEXPR :opno 664 ... :inputcollid 100 ...]": comparisons and case functions of changed collations, equality and hashes
-- of those that are not deterministic, functions that use Unicode tables, functions of full-text search and trigrams, uses of
-- changed text search dictionaries and time zones, and functions of users whose code may do one of these.
-- Run by collation/dependents.rs on the new server, or on the scratch server, after stored_functions.sql. $1 has the collations
-- that sort differently, $2 those whose letters differ; $3 says whether the Unicode tables change, $4 whether words do; $5 has the
-- dictionaries that give other lexemes, $6 the time zones with other rules; $7 says whether zones that rows name count too.
--
-- A constant is stored byte by byte, and a byte above 127 may be printed as a negative number: as [CONST :consttype 3734 ...
-- :constvalue 4 [ -56 53 0 0 0 0 0 0 ]] for a text search configuration (3769 for a dictionary), or as [CONST :consttype 25 ...
-- :constvalue 7 [ 28 0 0 0 85 84 67 ]] for a text, after four bytes of its length.
, objects (kind, bytes) AS (
  SELECT kind, string_agg(concat_ws(' ', b[1], b[2], b[3], b[4]), '|')
  FROM (SELECT 'configuration', mapcfg::int8 FROM pg_ts_config_map WHERE mapdict = ANY($5::oid[])
    UNION SELECT 'dictionary', oid::int8 FROM unnest($5::oid[]) AS oid) AS o (kind, oid)
  CROSS JOIN LATERAL (SELECT array_agg(CASE WHEN byte > 127 THEN format('(%s|-%s)', byte, 256 - byte) ELSE byte::text END ORDER BY n)
    FROM generate_series(0, 3) AS n, LATERAL (SELECT (oid >> (8 * n)) & 255) AS part (byte)) AS bytes (b)
  GROUP BY kind),
changed (configurations, dictionaries, unaccent) AS (
  SELECT max(bytes) FILTER (WHERE kind = 'configuration'), max(bytes) FILTER (WHERE kind = 'dictionary'),
    EXISTS (SELECT FROM pg_ts_dict d JOIN pg_ts_template t ON t.oid = d.dicttemplate
      WHERE d.oid = ANY($5::oid[]) AND t.tmplname = 'unaccent')
  FROM objects)
SELECT concat_ws('|',
  ':opno ('
    || (SELECT string_agg(DISTINCT o.amopopr::text, '|')
        FROM pg_amop o
        JOIN pg_type t ON t.oid = o.amoplefttype
        WHERE o.amopmethod = 403 AND o.amopstrategy <> 3 AND t.typcollation <> 0)
    || ') [^{]*:inputcollid (' || array_to_string($1::oid[], '|') || ') ',
  ':(op)?funcid ('
    || (SELECT string_agg(oid::text, '|')
        FROM (SELECT p.oid
          FROM pg_proc p
          WHERE p.pronamespace = 'pg_catalog'::regnamespace
            AND (p.proname ~ '^(lower|upper|initcap|casefold|substring|textregexsubstr|regexp_\w+)$'
              OR p.oid IN (SELECT oprcode FROM pg_operator WHERE oprname ~ '^!?~~?\*?$' AND oprright = 'text'::regtype))
          UNION SELECT oid FROM functions) AS folding)
    || ') [^{]*:inputcollid (' || array_to_string($2::oid[], '|') || ') ',
  (SELECT concat(':opno (', string_agg(DISTINCT o.oid::text, '|'), ') [^{]*:inputcollid (', unequal.oids, ') |:funcid (',
      (SELECT string_agg(p.oid::text, '|')
        FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('texteq', 'textne', 'hashtext', 'hashtextextended')),
      ') [^{]*:inputcollid (', unequal.oids, ') ')
    FROM (SELECT string_agg(oid::text, '|') FROM pg_collation WHERE NOT collisdeterministic AND oid = ANY($1::oid[]))
      AS unequal (oids)
    CROSS JOIN (SELECT a.amopopr
      FROM pg_amop a
      JOIN pg_type t ON t.oid = a.amoplefttype
      WHERE a.amopmethod = 403 AND a.amopstrategy = 3 AND t.typcollation <> 0) AS equal (opno)
    JOIN pg_operator o ON equal.opno IN (o.oid, o.oprnegate)
    WHERE unequal.oids IS NOT NULL
    GROUP BY unequal.oids),
  CASE WHEN $3::bool THEN ':(op)?funcid ('
    || (SELECT string_agg(oid::text, '|')
        FROM (SELECT p.oid
          FROM pg_proc p
          WHERE p.pronamespace = 'pg_catalog'::regnamespace
            AND p.proname IN ('normalize', 'is_normalized', 'unicode_assigned')
          UNION SELECT oid FROM functions WHERE code ~* '\m(normalize|normalized|is_normalized|unicode_assigned)\M') AS unicode)
    || ') ' END,
  CASE WHEN $4::bool THEN ':(op)?funcid ('
    || (SELECT string_agg(oid::text, '|')
        FROM (SELECT p.oid
          FROM pg_proc p
          WHERE p.prorettype IN ('tsvector'::regtype, 'tsquery'::regtype)
            OR p.proname IN ('ts_match_tt', 'ts_match_tq')
            OR EXISTS (SELECT FROM pg_depend d
              JOIN pg_extension e ON e.oid = d.refobjid
              WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND e.extname = 'pg_trgm')
          UNION SELECT oid FROM functions WHERE code ~* 'to_ts(vector|query)|ts_(lexize|parse|headline)|similarity|show_trgm') AS words)
    || ') ' END,
  -- The first argument is the configuration. One that is not a constant may be any.
  (SELECT concat(':funcid (', string_agg(p.oid::text, '|'),
      ') [^{]*\{((?!CONST )|CONST :consttype 3734 [^}]*:constvalue 4 \[ (', c.configurations, ') )')
    FROM changed c, pg_proc p
    WHERE c.configurations IS NOT NULL AND p.pronamespace = 'pg_catalog'::regnamespace
      AND p.proname ~ '(to_tsvector|to_tsquery|^ts_headline)$' AND p.proargtypes[0] = 'regconfig'::regtype
    GROUP BY c.configurations),
  (SELECT concat(':(op)?funcid (', string_agg(p.oid::text, '|'), ') ')
    FROM changed c, pg_proc p
    WHERE c.configurations IS NOT NULL AND p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '(to_tsvector|to_tsquery|^ts_headline)$' AND p.proargtypes[0] <> 'regconfig'::regtype
        OR p.proname IN ('ts_match_tt', 'ts_match_tq'))
    HAVING count(*) > 0),
  (SELECT concat(':funcid (', string_agg(p.oid::text, '|'),
      ') [^{]*\{((?!CONST )|CONST :consttype 3769 [^}]*:constvalue 4 \[ (', c.dictionaries, ') )')
    FROM changed c, pg_proc p
    WHERE c.dictionaries IS NOT NULL AND p.proname = 'ts_lexize' AND p.pronamespace = 'pg_catalog'::regnamespace
    GROUP BY c.dictionaries),
  (SELECT concat(':funcid (', string_agg(f.oid::text, '|'), ') ')
    FROM changed c, (SELECT oid, code FROM functions
      UNION SELECT d.objid, e.extname::text
      FROM pg_extension e
      JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
      WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND e.extname = 'unaccent') AS f (oid, code)
    WHERE c.configurations IS NOT NULL AND f.code ~* 'to_ts(vector|query)|ts_headline'
      OR c.dictionaries IS NOT NULL AND f.code ~* 'ts_lexize' OR c.unaccent AND f.code ~* 'unaccent'
    HAVING count(*) > 0),
  (SELECT concat(':consttype (25|1042|1043) [^}]*:constvalue \d+ \[ (\d+ ){4}(', string_agg(z.bytes, '|'), ') \]')
    FROM (SELECT (SELECT string_agg(ascii(letter)::text, ' ' ORDER BY n)
        FROM regexp_split_to_table(zone, '') WITH ORDINALITY AS l (letter, n))
      FROM unnest($6::text[]) AS zone) AS z (bytes)
    HAVING count(*) > 0),
  (SELECT concat(':funcid (', string_agg(f.oid::text, '|'), ') ')
    FROM functions f
    WHERE EXISTS (SELECT FROM unnest($6::text[]) AS zone WHERE strpos(lower(f.code), lower(zone)) > 0)
      OR $7::bool AND f.code ~* 'at\s+time\s+zone|\mtimezone\s*\('
    HAVING count(*) > 0),
  (SELECT concat(':funcid (', string_agg(p.oid::text, '|'), ') [^{]*\{(?!CONST )')
    FROM pg_proc p
    WHERE $7::bool AND p.proname = 'timezone' AND p.proargtypes[0] = 'text'::regtype
      AND p.pronamespace = 'pg_catalog'::regnamespace
    HAVING count(*) > 0))

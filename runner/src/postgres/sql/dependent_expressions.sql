-- A regular expression that matches stored expressions (pg_node_tree) whose result may change, such as
-- "[OPEXPR :opno 664 ... :inputcollid 100 ...]": comparisons and case functions of changed collations, functions that
-- use Unicode tables, and functions of full-text search and trigrams.
-- Run by collation/changes.rs on the new server, or on the scratch server, on any version. $1 has the collations that
-- sort differently, $2 those whose letters differ; $3 says whether the Unicode tables change, $4 whether words do.
SELECT concat_ws('|',
  ':opno ('
    || (SELECT string_agg(DISTINCT o.amopopr::text, '|')
        FROM pg_amop o
        JOIN pg_type t ON t.oid = o.amoplefttype
        WHERE o.amopmethod = 403 AND o.amopstrategy <> 3 AND t.typcollation <> 0)
    || ') [^{]*:inputcollid (' || array_to_string($1::oid[], '|') || ') ',
  ':(op)?funcid ('
    || (SELECT string_agg(p.oid::text, '|')
        FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
          AND (p.proname ~ '^(lower|upper|initcap|casefold|substring|textregexsubstr|regexp_\w+)$'
            OR p.oid IN (SELECT oprcode FROM pg_operator WHERE oprname ~ '^!?~~?\*?$' AND oprright = 'text'::regtype)))
    || ') [^{]*:inputcollid (' || array_to_string($2::oid[], '|') || ') ',
  CASE WHEN $3::bool THEN ':funcid ('
    || (SELECT string_agg(p.oid::text, '|')
        FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
          AND p.proname IN ('normalize', 'is_normalized', 'unicode_assigned'))
    || ') ' END,
  CASE WHEN $4::bool THEN ':(op)?funcid ('
    || (SELECT string_agg(p.oid::text, '|')
        FROM pg_proc p
        WHERE p.prorettype IN ('tsvector'::regtype, 'tsquery'::regtype)
          OR p.proname IN ('ts_match_tt', 'ts_match_tq')
          OR EXISTS (SELECT FROM pg_depend d
            JOIN pg_extension e ON e.oid = d.refobjid
            WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND e.extname = 'pg_trgm'))
    || ') ' END)

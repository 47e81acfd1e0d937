-- A regular expression that matches stored expressions (pg_node_tree) whose result may change, such as
-- "[OPEXPR :opno 664 ... :inputcollid 100 ...]": comparisons and case functions of changed collations, equality and hashes
-- of those that are not deterministic, functions that use Unicode tables, and functions of full-text search and trigrams.
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

//! Duties about indexes. What gives wrong answers and is known by its operator class or a function in it is rebuilt; where only some indexes of a
//! kind are damaged, or none in most databases, the operator is told.
//!
//! Left out: 14.2 (chains of updated rows), whose notes advise against rebuilding on suspicion; 15.20 and its like (indexes of
//! TOAST tables), which show themselves by the error "missing chunk number", and which no catalog tells from sound ones.

use super::duty::{Action, Duty, Evidence, IndexRule, Objects, Older, Upgrades};

/// Duties that an old release is evidence for, and that `pg_upgrade` does not see to either: it keeps the files of indexes.
const fn duty(
    id: &'static str,
    releases: &'static [(u32, u32)],
    objects: Objects,
    what: &'static str,
    action: Action,
) -> Duty {
    Duty {
        id,
        releases,
        older: Older::Sound,
        evidence: Evidence::OldRelease,
        upgrades: Upgrades::All,
        objects,
        what,
        action,
    }
}

/// Older major versions have the fault too.
const fn of_all_older(duty: Duty) -> Duty {
    Duty { older: Older::Affected, ..duty }
}

const fn indexes(method: &'static str, operator_class: &'static str) -> Objects {
    Objects::Indexes(IndexRule { method, operator_class, database: "true", index: "true" })
}

/// Indexes by functions in which EXTRACT returns numeric since 14. Expressions of indexes themselves have `date_part()` since
/// they were parsed. The preflight's note `extract-stored` names other uses of the same functions.
const BY_EXTRACT: &str = "i.indexrelid IN (SELECT d.objid FROM pg_proc p \
     JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
     JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid AND d.classid = 'pg_class'::regclass \
     WHERE p.oid >= 16384 AND p.prosrc ~* '\\mextract\\s*\\(\\s*''?(epoch|second|millisecond|julian)[^()]*(\\([^()]*\\)[^()]*)*\\)\
(?!\\s*\\)*\\s*::\\s*(double|float))')";

/// Indexes by functions that parse a query of full-text search, called with a text. The preflight's note `text-search-query` names other
/// uses.
const BY_TEXT_SEARCH_QUERY: &str = "concat(i.indexprs::text, i.indpred::text) ~ ( \
     SELECT concat(':funcid (', string_agg(p.oid::text, '|'), ') ') FROM pg_proc p \
     WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('to_tsquery', 'websearch_to_tsquery'))";

/// No catalog says how an index was built: only their number is told.
const EACH_INDEX: Objects = Objects::Database(
    "SELECT format('indexes: %s', count(*)) FROM pg_class WHERE relkind = 'i' AND oid >= 16384 AND relpersistence <> 't' \
     HAVING count(*) > 0",
);

pub const DUTIES: &[Duty] = &[
    of_all_older(duty(
        "extract-numeric",
        &[(14, 0)],
        Objects::Indexes(IndexRule { method: ".", operator_class: ".", database: "true", index: BY_EXTRACT }),
        "indexes by functions with EXTRACT of epochs, seconds or Julian days may miss rows, since these are numeric from this \
         release on",
        Action::Rebuild,
    )),
    of_all_older(duty(
        "text-search-query",
        &[(14, 0)],
        Objects::Indexes(IndexRule {
            method: ".",
            operator_class: ".",
            database: "true",
            index: BY_TEXT_SEARCH_QUERY,
        }),
        "indexes with to_tsquery() or websearch_to_tsquery() may have rows that their condition excludes, since words that the parser \
         splits must follow each other from this release on",
        Action::Rebuild,
    )),
    duty(
        "gist-concurrent-insertions",
        &[(13, 2)],
        indexes("^gist$", "."),
        "GiST indexes into which sessions inserted side by side may have entries on wrong pages",
        Action::Tell("REINDEX INDEX CONCURRENTLY those"),
    ),
    duty(
        "concurrently-built",
        &[(13, 5), (14, 1)],
        EACH_INDEX,
        "indexes that were built or rebuilt with CONCURRENTLY, while rows were added or transactions were prepared, may lack \
         rows",
        Action::Tell("REINDEX those that were"),
    ),
    duty(
        "hash-float",
        &[(13, 5)],
        indexes("^hash$", "^float[48]_ops$"),
        "hash indexes on floating-point columns find not every NaN",
        Action::Tell("REINDEX INDEX CONCURRENTLY those that may have NaN"),
    ),
    duty(
        "toast-reindex",
        &[(13, 6), (14, 2)],
        Objects::Database(
            "SELECT format('tables with a TOAST table: %s', count(*)) FROM pg_class WHERE reltoastrelid <> 0 \
             AND oid >= 16384 HAVING count(*) > 0",
        ),
        "indexes of TOAST tables that REINDEX CONCURRENTLY rebuilt, also by the name of their table, may be damaged",
        Action::Tell("REINDEX those tables again"),
    ),
    duty(
        "btree-gist-character",
        &[(13, 6), (14, 2)],
        indexes("^gist$", "^gist_bpchar_ops$"),
        "GiST indexes on char(n) give index-only scans values without their trailing spaces",
        Action::Rebuild,
    ),
    duty(
        "gist-ltree-signature",
        &[(13, 7), (14, 3)],
        indexes("^gist$", "^gist_ltree_ops$"),
        "GiST indexes on ltree are most likely damaged, by signatures of two lengths",
        Action::Rebuild,
    ),
    duty(
        "concurrently-built-in-14",
        &[(14, 4)],
        EACH_INDEX,
        "indexes that 14.0 to 14.3 built or rebuilt with CONCURRENTLY may lack rows",
        Action::Tell("REINDEX those that were"),
    ),
    duty(
        "brin-nulls",
        &[(13, 12), (14, 9), (15, 4)],
        indexes("^brin$", "."),
        "BRIN indexes may have forgotten that a range of pages has nulls",
        Action::Tell("REINDEX INDEX CONCURRENTLY those that are searched for nulls"),
    ),
    duty(
        "gist-page-split",
        &[(13, 13), (14, 10), (15, 5), (16, 1)],
        indexes("^gist$", "."),
        "GiST indexes may miss rows, since a page was split wrongly while they were built",
        Action::Tell("REINDEX INDEX CONCURRENTLY them if in doubt"),
    ),
    duty(
        "btree-interval",
        &[(13, 13), (14, 10), (15, 5), (16, 1)],
        indexes("^btree$", "^interval_ops$"),
        "B-tree indexes on interval may give index-only scans an equal but different value",
        Action::Rebuild,
    ),
    duty(
        "brin-minmax-multi-dates",
        &[(14, 10), (15, 5), (16, 1)],
        indexes("^brin$", "^(date|timestamp|timestamptz|interval)_minmax_multi_ops$"),
        "BRIN minmax-multi indexes on dates and times are larger and slower than they need be",
        Action::Tell("REINDEX INDEX CONCURRENTLY them"),
    ),
    duty(
        "gin-concurrent-splits",
        &[(13, 14), (14, 11), (15, 6), (16, 2)],
        indexes("^gin$", "."),
        "GIN indexes may have been damaged by sessions that updated them side by side",
        Action::Tell("REINDEX INDEX CONCURRENTLY them if you suspect it"),
    ),
    duty(
        "lc-ctype-c",
        &[(17, 1)],
        // The provider is a column since 15.
        Objects::Database(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_database d ON d.datname = current_database() AND d.datlocprovider = 'c' \
               AND d.datctype IN ('C', 'POSIX') AND d.datcollate NOT IN ('C', 'POSIX') \
             WHERE c.relkind = 'i' AND 100::oid = ANY (i.indcollation) AND c.oid >= 16384 ORDER BY 1",
        ),
        "indexes on text in databases with the LC_CTYPE C and another LC_COLLATE are in the order of bytes",
        Action::Tell("REINDEX INDEX CONCURRENTLY them"),
    ),
    duty(
        "brin-bloom",
        &[(14, 18), (15, 13), (16, 9), (17, 5)],
        indexes("^brin$", "_bloom_ops$"),
        "BRIN bloom indexes may miss rows",
        Action::Rebuild,
    ),
    duty(
        "brin-numeric-minmax-multi",
        &[(14, 19), (15, 14), (16, 10), (17, 6)],
        indexes("^brin$", "^numeric_minmax_multi_ops$"),
        "BRIN minmax-multi indexes on numeric are larger and slower than they need be",
        Action::Tell("REINDEX INDEX CONCURRENTLY them"),
    ),
    of_all_older(duty(
        "ltree-case-folding",
        &[(18, 2)],
        Objects::Indexes(IndexRule {
            method: ".",
            operator_class: "^(gist_|gist__|hash_)?ltree_ops$",
            // The provider is a column since 15; before, it is the C library.
            database: "pg_encoding_max_length(d.encoding) > 1 \
                OR COALESCE(to_jsonb(d) ->> 'datlocprovider', 'c') <> 'c'",
            index: "true",
        }),
        "indexes on ltree do not find every entry, since letters are folded by the database's default collation from this \
         release on",
        Action::Rebuild,
    )),
    of_all_older(duty(
        "btree-gist-float",
        &[(14, 24), (15, 19), (16, 15), (17, 11), (18, 6)],
        indexes("^gist$", "^gist_float[48]_ops$"),
        "GiST indexes on floating-point columns give wrong answers if they have NaN",
        Action::Tell("REINDEX INDEX CONCURRENTLY those that may have NaN"),
    )),
    duty(
        "btree-gist-bit",
        &[(18, 6)],
        indexes("^gist$", "^gist_v?bit_ops$"),
        "GiST indexes on bit and bit varying that 18 built are slower than they need be",
        Action::Tell("REINDEX INDEX CONCURRENTLY them"),
    ),
    of_all_older(duty(
        "btree-ltree-long",
        &[(14, 24), (15, 19), (16, 15), (17, 11), (18, 6)],
        indexes("^btree$", "^ltree_ops$"),
        "B-tree indexes on ltree are damaged if they have values of more than 14,653 labels",
        Action::Tell("REINDEX INDEX CONCURRENTLY those that have"),
    )),
    of_all_older(duty(
        "btree-character",
        &[(14, 25), (15, 20), (16, 16), (17, 12), (18, 7)],
        indexes("^btree$", "^bpchar(_pattern)?_ops$"),
        "B-tree indexes on char(n) may give index-only scans a value with other trailing spaces",
        Action::Rebuild,
    )),
    of_all_older(duty(
        "gin-vacuum",
        &[(14, 25), (15, 20), (16, 16), (17, 12), (18, 7)],
        indexes("^gin$", "."),
        "GIN indexes may point to rows that VACUUM has removed, or miss rows after a page was deleted",
        Action::Tell("REINDEX INDEX CONCURRENTLY them if you suspect it"),
    )),
    of_all_older(duty(
        "gist-trigrams",
        &[(14, 25), (15, 20), (16, 16), (17, 12), (18, 7)],
        indexes("^gist$", "^gist_trgm_ops$"),
        "GiST indexes of pg_trgm may miss rows",
        Action::Rebuild,
    )),
];

#[cfg(test)]
mod tests {

    /// Otherwise an index would be named by one of them and rebuilt by none.
    #[test]
    fn functions_with_extract_are_those_of_the_preflights_note() {
        let note = include_str!("../../steps/preflight/meaning.rs");
        let source = include_str!("about_indexes.rs");
        let expression = |text: &str| {
            let begin = text.find("p.prosrc ~* '\\\\mextract\\\\s*\\\\(\\\\s*''?(epoch").unwrap();
            let rest = &text[begin..];
            rest[..rest.find("(double|float)").unwrap()].to_owned()
        };
        assert_eq!(expression(source), expression(note));
    }
}

//! Samples of characters, and what a server does with them. The C library reports no version for locales such as `C.UTF-8`,
//! and they change: Debian's sorted characters beyond the first 65,536 otherwise up to 11, and every release of the library
//! knows more letters.

/// The characters of a sample, as rows of `n` and `c`; in UTF-8 those that a condition on `n` selects. Other encodings of several
/// bytes are asked about ASCII only: `chr()` does not know their other characters.
fn characters(condition: &str) -> String {
    format!(
        "characters AS (SELECT n, chr(n) AS c FROM generate_series(1, \
           CASE WHEN getdatabaseencoding() = 'UTF8' THEN 205743 \
             WHEN (SELECT pg_encoding_max_length(encoding) FROM pg_database WHERE datname = current_database()) = 1 THEN 255 \
             ELSE 127 END) AS n \
         WHERE n NOT BETWEEN 55296 AND 57343 AND ({condition}))"
    )
}

/// Some from everywhere.
const SPREAD: &str = "n < 1024 OR n % 53 = 0";
/// All letters that have cases, and most others: without the blocks of Chinese characters and Korean syllables, of which there are
/// some.
const MOST: &str = "n < 13312 OR n BETWEEN 40960 AND 44031 OR n BETWEEN 63744 AND 131071 OR n % 64 = 0";

/// In which order they are sorted.
pub fn order(collation: &str) -> String {
    format!(
        "WITH {} SELECT hashtextextended(string_agg(c, '' ORDER BY c COLLATE {collation}, n), 0)::text FROM characters",
        characters(SPREAD)
    )
}

/// How they are folded, and what regular expressions take them for.
pub fn letters(collation: &str) -> String {
    let class = |class: &str| format!("regexp_replace(t, '[^[:{class}:]]+', '-', 'g')");
    format!(
        "WITH {}, sample AS (SELECT string_agg(c, '' ORDER BY n) COLLATE {collation} AS t FROM characters) \
         SELECT hashtextextended(concat_ws('|', lower(t), upper(t), {}, {}, {}) COLLATE pg_catalog.\"C\", 0)::text FROM sample",
        characters(MOST),
        class("alpha"),
        class("punct"),
        class("space"),
    )
}

/// Into which words full-text search splits them, and how it folds those.
pub fn words() -> String {
    format!(
        "WITH {}, sample AS (SELECT string_agg(c || ' ', '' ORDER BY n) AS t FROM characters) \
         SELECT hashtextextended(concat_ws('|', ts_lexize('simple', t)::text, \
           (SELECT string_agg(concat(tokid, token), ' ') FROM ts_parse('default', t))) COLLATE pg_catalog.\"C\", 0)::text FROM sample",
        characters(MOST)
    )
}

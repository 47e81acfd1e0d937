//! Columns with storage of their own (tables, materialized views, indexes), by the types that theirs contain.

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;

/// A query of the columns whose type is one of `types`, or contains one as a domain, an array, a range or a composite type, at any
/// depth: names, each with the extension that the column belongs to.
pub fn stored_columns_of(types: &str) -> String {
    format!(
        "WITH RECURSIVE holds (whole, part) AS (
           SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
           UNION ALL SELECT oid, typelem FROM pg_type WHERE typtype = 'b' AND typelem <> 0
           UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
           UNION ALL SELECT c.reltype, a.atttypid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.reltype <> 0 AND NOT a.attisdropped
         ), affected (oid) AS (
           SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {types}
           UNION SELECT h.whole FROM holds h JOIN affected a ON h.part = a.oid
         )
         SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname),
           (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e'
              AND d.objid = COALESCE((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = c.oid), c.oid))
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'm', 'i') AND NOT a.attisdropped AND a.atttypid IN (SELECT oid FROM affected)
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND n.nspname !~ '^pg_(toast_)?temp_'
         ORDER BY 1"
    )
}

/// For each of these conditions on a type whether the database that `client` is connected to has a column that
/// [`stored_columns_of`] finds. Most have none, and to look from the columns' types downwards takes a fraction of the time.
pub async fn contained(client: &Client, conditions: &[&str]) -> Result<Vec<bool>, ServerError> {
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    let failed = ServerError::query("the types that columns contain");
    let row = client.query_typed_one(&contained_query(conditions), &[]).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

fn contained_query(conditions: &[&str]) -> String {
    let found: Vec<_> = conditions.iter().map(|types| format!("COALESCE(bool_or({types}), false)")).collect();
    format!(
        "WITH RECURSIVE contained (oid) AS (
           SELECT DISTINCT a.atttypid
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE c.relkind IN ('r', 'm', 'i') AND NOT a.attisdropped
             AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           UNION
           SELECT part.oid FROM contained w JOIN pg_type t ON t.oid = w.oid CROSS JOIN LATERAL (
             SELECT t.typbasetype WHERE t.typtype = 'd'
             UNION ALL SELECT t.typelem WHERE t.typtype = 'b' AND t.typelem <> 0
             UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
             UNION ALL SELECT a.atttypid FROM pg_attribute a
               WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND NOT a.attisdropped
           ) AS part (oid)
         )
         SELECT ARRAY[{}] FROM contained w JOIN pg_type t ON t.oid = w.oid JOIN pg_namespace n ON n.oid = t.typnamespace",
        found.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_asked_in_their_order() {
        let query = contained_query(&["t.typname = 'a' OR n.nspname = 'b'", "t.typtype = 'c'"]);
        let expected = "SELECT ARRAY[COALESCE(bool_or(t.typname = 'a' OR n.nspname = 'b'), false), \
                        COALESCE(bool_or(t.typtype = 'c'), false)] FROM contained w";
        assert!(query.contains(expected), "{query}");
    }

    /// Otherwise columns that the check names would not be looked at.
    #[test]
    fn types_are_looked_for_in_all_columns_that_a_check_names() {
        let (check, contained) = (stored_columns_of("true"), contained_query(&["true"]));
        for part in
            ["c.relkind IN ('r', 'm', 'i')", "NOT a.attisdropped", "('pg_catalog', 'information_schema')"]
        {
            assert!(check.contains(part) && contained.contains(part), "{part}");
        }
    }
}

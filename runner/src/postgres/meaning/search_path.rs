//! Functions that maintenance calls and that need a search path of users. From 17 on `REINDEX` and the like run with the system's: such a
//! function fails then, or takes another function or operator of the same name, and an index with it lacks rows.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings;

/// They are named with what they name without its schema, and with something that uses them.
pub const FUNCTIONS: &str = concat!(
    include_str!("../sql/maintenance_search_path.sql"),
    "SELECT format('%s (%snames %s; used by %s)', n.oid::regprocedure, max('of extension ' || e.extname || '; '), \
       (SELECT string_agg(DISTINCT name, ', ') FROM named a WHERE a.oid = n.oid), min(c.relation::regclass::text)) \
     FROM named n \
     JOIN code c ON c.oid = n.oid \
     LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = n.oid AND d.deptype = 'e' \
     LEFT JOIN pg_extension e ON e.oid = d.refobjid \
     GROUP BY n.oid ORDER BY 1"
);

/// Their indexes.
const INDEXES: &str = concat!(
    include_str!("../sql/maintenance_search_path.sql"),
    "SELECT DISTINCT format('\"%s\".\"%s\"', replace(s.nspname, '\"', '\"\"'), replace(r.relname, '\"', '\"\"')) \
     FROM named n \
     JOIN code c ON c.oid = n.oid \
     JOIN pg_class r ON r.oid = c.relation AND r.relkind = 'i' \
     JOIN pg_namespace s ON s.oid = r.relnamespace"
);

/// Whether maintenance has begun to use the system's search path between these major versions.
#[must_use]
pub fn maintenance_is_confined(old: u32, new: u32) -> bool {
    old < 17 && new >= 17
}

/// The indexes of the database that `client` is connected to with such functions, by their quoted and qualified names. They were built
/// with a search path of users, and rebuilding them may lose rows.
pub async fn indexes_in_need_of_a_path(client: &Client) -> Result<BTreeSet<String>, ServerError> {
    let names = strings(client, "functions that need a search path", INDEXES).await?;
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_is_confined_since_17() {
        assert!(maintenance_is_confined(13, 17) && maintenance_is_confined(16, 18));
        assert!(!maintenance_is_confined(13, 16) && !maintenance_is_confined(17, 18));
    }

    #[test]
    fn names_of_indexes_are_quoted_as_they_are_elsewhere() {
        assert!(INDEXES.contains(r#"format('"%s"."%s"', replace(s.nspname, '"', '""')"#), "{INDEXES}");
    }
}

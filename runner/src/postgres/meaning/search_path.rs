//! Functions that maintenance calls and that need a search path of users. From 17 on `REINDEX` and the like run with the system's: such a
//! function fails then, or takes another function or operator of the same name, and an index with it lacks rows.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;

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
    "SELECT DISTINCT r.oid \
     FROM named n \
     JOIN code c ON c.oid = n.oid \
     JOIN pg_class r ON r.oid = c.relation AND r.relkind = 'i'"
);

/// Whether maintenance has begun to use the system's search path between these major versions.
#[must_use]
pub fn maintenance_is_confined(old: u32, new: u32) -> bool {
    old < 17 && new >= 17
}

/// The indexes of the database that `client` is connected to with such functions, by their OIDs. They were built with a search path of
/// users, and rebuilding them may lose rows.
pub async fn indexes_in_need_of_a_path(client: &Client) -> Result<BTreeSet<u32>, ServerError> {
    let failed = ServerError::query("functions that need a search path");
    let rows = client.query_typed(INDEXES, &[]).await.map_err(failed)?;
    rows.iter().map(|row| row.try_get::<_, u32>(0)).collect::<Result<_, _>>().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_is_confined_since_17() {
        assert!(maintenance_is_confined(13, 17) && maintenance_is_confined(16, 18));
        assert!(!maintenance_is_confined(13, 16) && !maintenance_is_confined(17, 18));
    }
}

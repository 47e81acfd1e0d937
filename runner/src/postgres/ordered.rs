//! What else than indexes holds a result of the order of text, and has no statement of `PostgreSQL` to mend it.

use tokio_postgres::Client;

use super::collations::{Drift, oids};
use super::server::{ServerError, strings_with};

/// Comparisons by order of the collations in `$1`, as they stand in the trees that the catalog keeps:
/// `{OPEXPR :opno 664 … :inputcollid 100 …`.
pub(super) const COMPARES: &str = "WITH compares AS (SELECT ':opno (' || string_agg(DISTINCT o.amopopr::text, '|') \
     || ') [^{]*:inputcollid (' || array_to_string($1::oid[], '|') || ') ' AS pattern \
     FROM pg_amop o JOIN pg_type t ON t.oid = o.amoplefttype \
     WHERE o.amopmethod = 403 AND o.amopstrategy <> 3 AND t.typcollation <> 0)";

/// Partitions by range that hold rows which belong to another one now. Queries look for them there.
pub async fn misplaced(client: &Client, drift: &[Drift]) -> Result<Vec<String>, ServerError> {
    let failed = |source| ServerError::Query { what: "rows in the wrong partition", source };
    // The planner would trust the very bounds that are in doubt.
    let settings = "SET constraint_exclusion = off; SET enable_partition_pruning = off";
    client.batch_execute(settings).await.map_err(failed)?;
    let sql = "SELECT c.oid::regclass::text, h.inhparent::regclass::text, pg_get_partition_constraintdef(c.oid) \
               FROM pg_partitioned_table p JOIN pg_inherits h ON h.inhparent = p.partrelid \
               JOIN pg_class c ON c.oid = h.inhrelid WHERE p.partstrat = 'r' AND c.relkind IN ('r', 'p') \
               AND p.partcollation::oid[] && $1::oid[] ORDER BY 1";
    let mut found = Vec::new();
    for row in client.query(sql, &[&oids(drift)]).await.map_err(failed)? {
        let text = |index: usize| row.try_get::<_, String>(index).map_err(failed);
        let (partition, parent, bounds) = (text(0)?, text(1)?, text(2)?);
        let sql = format!("SELECT count(*) FROM {partition} WHERE NOT ({bounds})");
        let count: i64 = client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        if count > 0 {
            found.push(format!(
                "{count} rows of {partition} belong to another partition of {parent} now, and queries miss them: SET \
                 enable_partition_pruning = off, then an UPDATE of {parent} that sets a column of its key to itself moves them"
            ));
        }
    }
    Ok(found)
}

/// What holds a result of the order of before, and is worth a look.
pub async fn worth_a_look(client: &Client, drift: &[Drift]) -> Result<Vec<String>, ServerError> {
    let sql = format!(
        "{COMPARES} SELECT format('the constraint %I of %s compares text: rows were checked in the order of before', \
         conname, COALESCE(NULLIF(conrelid, 0)::regclass::text, contypid::regtype::text)) FROM pg_constraint, compares \
         WHERE contype = 'c' AND conbin::text ~ pattern \
         UNION ALL SELECT format('the range type %s: a range may be empty or overlap another in the new order', \
         rngtypid::regtype) FROM pg_range WHERE rngcollation = ANY($1) \
         UNION ALL SELECT format('the materialized view %s holds what its query gave before: REFRESH it if that sorts \
         or compares text', oid::regclass) FROM pg_class WHERE relkind = 'm' AND relispopulated ORDER BY 1"
    );
    strings_with(client, "what depends on the order of text", &sql, &[&oids(drift)]).await
}

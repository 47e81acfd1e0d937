//! What else than indexes holds a result of the rules of text, and has no statement of `PostgreSQL` to mend it.

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::postgres::client::session::{ServerError, strings_with};
use crate::postgres::collation::changes::Marks;

/// Partitions that hold rows which belong to another one now. Queries look for them there.
pub async fn misplaced(client: &Client, marks: &Marks) -> Result<Vec<String>, ServerError> {
    let failed = |source| ServerError::Query { what: "rows in the wrong partition", source };
    // The planner would trust the very bounds that are in doubt, and indexes that may be.
    let settings = "SET constraint_exclusion = off; SET enable_partition_pruning = off; SET enable_indexscan = off; \
                    SET enable_indexonlyscan = off; SET enable_bitmapscan = off";
    client.batch_execute(settings).await.map_err(failed)?;
    // The bounds of a partition are those of all above it. Functions of users in them, also those that a type of theirs
    // calls, would run as superuser: such are named and not looked at. An only default partition has no bounds.
    let sql = "SELECT c.oid::regclass::text, pg_partition_root(c.oid)::text, pg_get_partition_constraintdef(c.oid), \
               EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS above JOIN pg_partitioned_table p ON p.partrelid = above.relid \
                 WHERE EXISTS (SELECT FROM unnest(p.partclass::oid[]) AS class WHERE class >= 16384) \
                 OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs) \
                   AND a.atttypid >= 16384) \
                 OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = p.partrelid \
                   AND d.objsubid = 0 AND d.refobjid >= 16384 \
                   AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass))) \
               FROM pg_class c WHERE c.relispartition AND c.relkind = 'r' \
               AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS above JOIN pg_partitioned_table p ON p.partrelid = above.relid \
                 WHERE p.partstrat = 'r' AND p.partcollation::oid[] && $1::oid[] OR p.partexprs::text ~ $2) \
               AND pg_get_partition_constraintdef(c.oid) IS NOT NULL ORDER BY 1";
    let mut found = Vec::new();
    for row in client.query(sql, &[&marks.reordered, &marks.pattern]).await.map_err(failed)? {
        let text = |index: usize| row.try_get::<_, String>(index).map_err(failed);
        let (partition, parent, bounds) = (text(0)?, text(1)?, text(2)?);
        if row.try_get(3).map_err(failed)? {
            found.push(format!(
                "rows of {partition} may belong to another partition of {parent} now; a key has a function or type of yours, so \
                 look yourself: SELECT count(*) FROM {partition} WHERE NOT ({bounds})"
            ));
            continue;
        }
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

/// What holds a result of the rules of before, and is worth a look.
pub async fn worth_a_look(client: &Client, marks: &Marks) -> Result<Vec<String>, ServerError> {
    let sql = "SELECT format('the constraint %I of %s depends on rules of text: rows were checked by those of before', \
         conname, COALESCE(NULLIF(conrelid, 0)::regclass::text, contypid::regtype::text)) FROM pg_constraint \
         WHERE contype = 'c' AND conbin::text ~ $2 \
         UNION ALL SELECT format('the range type %s: a range may be empty or overlap another in the new order', \
         rngtypid::regtype) FROM pg_range WHERE rngcollation = ANY($1::oid[]) \
         UNION ALL SELECT format('the materialized view %s holds what its query gave before: REFRESH it if that sorts, \
         compares or searches text', c.oid::regclass) FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid \
         WHERE c.relkind = 'm' AND c.relispopulated AND (cardinality($1::oid[]) > 0 OR r.ev_action::text ~ $2) \
         UNION ALL SELECT format('the column %I of %s holds words that the version before has found: an UPDATE that sets \
         the text they come from to itself finds them anew', a.attname, a.attrelid::regclass) \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE $3 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT a.attisdropped \
         AND a.atttypid = 'tsvector'::regtype AND c.oid >= 16384 \
         UNION ALL SELECT format('the column %I of %s is generated by rules of text: an UPDATE that sets what it comes from to \
         itself makes it anew', a.attname, a.attrelid::regclass) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid \
         AND a.attnum = d.adnum JOIN pg_class c ON c.oid = d.adrelid WHERE a.attgenerated = 's' AND d.adbin::text ~ $2 \
         AND a.atttypid <> 'tsvector'::regtype AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1";
    let parameters: [&(dyn ToSql + Sync); 3] = [&marks.reordered, &marks.pattern, &marks.words];
    strings_with(client, "what depends on rules of text", sql, &parameters).await
}

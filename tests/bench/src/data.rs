//! The data of a case.

use anyhow::ensure;
use pgops_api::layout;

use crate::case::Case;
use pgops_e2e::Database;

const DATABASE: &str = "bench";

/// Fills a database with the tables of a case.
///
/// The server runs with `fsync = off`, since thousands of files would take minutes otherwise; then everything is
/// synced at once, so that nothing is left to be written during the outage.
pub async fn fill(database: &Database, case: &Case) -> anyhow::Result<()> {
    let postgres = async |sql: &str| database.sql("postgres", sql).await.map(drop);
    postgres(&format!("CREATE DATABASE {DATABASE}")).await?;
    postgres("ALTER SYSTEM SET fsync = off").await?;
    postgres("SELECT pg_reload_conf()").await?;
    database.sql(DATABASE, &script(case)).await?;
    postgres("ALTER SYSTEM RESET fsync").await?;
    postgres("SELECT pg_reload_conf()").await?;
    postgres("CHECKPOINT").await?;
    let sync = format!("COPY (SELECT WHERE false) TO PROGRAM 'sync --file-system {}'", layout::VOLUME_ROOT);
    postgres(&sync).await?;
    ensure!(database.value("SHOW fsync").await? == "on", "fsync is still off");
    Ok(())
}

/// Tables of equal size, with one row per page of 8 KiB. Each has an index and a TOAST table, as usual.
///
/// Autovacuum is off: it would run during one upgrade and not during the next. One transaction per 100 tables, since
/// the locks of all tables would not fit into the server's memory.
fn script(case: &Case) -> String {
    let Case { tables, gigabytes, .. } = case;
    format!(
        "DO $$ BEGIN
           FOR number IN 1..{tables} LOOP
             EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, payload text NOT NULL) WITH (autovacuum_enabled = off)', number);
             EXECUTE format('ALTER TABLE t%s ALTER payload SET STORAGE PLAIN', number);
             EXECUTE format('INSERT INTO t%s SELECT n, repeat(''x'', 8000) FROM generate_series(1, {gigabytes} * 1e9 / 8192 / {tables}) n', number);
             IF number % 100 = 0 THEN COMMIT; END IF;
           END LOOP;
         END $$"
    )
}

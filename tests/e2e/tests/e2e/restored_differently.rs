//! What a restore would make in another way, or not at all, is refused with a remedy, after which the upgrade carries it.

use std::time::Duration;

use anyhow::{Context, ensure};
use pgops_e2e::{Database, eventually, with_namespace};
use tokio::task::JoinHandle;

/// The line of a finding in the message of a failure.
fn finding<'a>(message: &'a str, id: &str) -> anyhow::Result<&'a str> {
    let begin = format!("[{id}] ");
    let line = message.lines().find(|line| line.starts_with(&begin));
    line.with_context(|| format!("no finding {id} in:\n{message}"))
}

/// The trigger that comes first in the partitioned table comes last in its partition.
const LOG: &str = "CREATE TABLE log (n int, note text) PARTITION BY RANGE (n);
    CREATE TABLE log_0 PARTITION OF log FOR VALUES FROM (0) TO (100);
    CREATE FUNCTION append() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.note := concat(NEW.note, TG_ARGV[0]); RETURN NEW; END $$;
    CREATE TRIGGER a BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION append('1');
    CREATE TRIGGER b BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION append('2');
    ALTER TRIGGER a ON log_0 RENAME TO c";
const NOTE: &str = "INSERT INTO log VALUES (1) RETURNING note";

/// The default privileges are among the initial rights of the functions, which no command corrects before 17.
const DROPPED_ROLE: &str = "CREATE ROLE leaver;
    ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO leaver;
    CREATE EXTENSION pg_freespacemap;
    DROP OWNED BY leaver;
    DROP ROLE leaver";
/// Rights of the role to which the extension's script gives them, and of every role.
const RIGHTS: &str =
    "SELECT concat(has_function_privilege('pg_stat_scan_tables', 'pg_freespace(regclass)', 'EXECUTE'),
    has_function_privilege('public', 'pg_freespace(regclass)', 'EXECUTE'))";

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn renamed_triggers_of_partitions_and_rights_of_dropped_roles_are_refused_until_corrected()
-> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", LOG).await?;
        orders.sql("postgres", DROPPED_ROLE).await?;
        let note = orders.value(NOTE).await?;
        ensure!(note == "21", "the triggers are executed in another order than the test needs: {note}");
        let refused = ns.upgrade("refused").database("orders").to("17.11").create().await?;
        let (reason, message) = refused.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        let trigger = finding(&message, "partition-trigger")?;
        ensure!(trigger.ends_with(": c on public.log_0 (a on public.log) in \"postgres\""), "{trigger}");
        let role = finding(&message, "dropped-role")?;
        ensure!(role.ends_with(": extension pg_freespacemap in \"postgres\""), "{role}");

        let update = role.split_once("as a superuser run ").map(|(_, rest)| rest);
        let update = update.and_then(|rest| rest.split_once(" in that database"));
        let (update, _) = update.with_context(|| format!("no statement in: {role}"))?;
        orders.sql("postgres", update).await?;
        orders.sql("postgres", "ALTER TRIGGER a ON log RENAME TO c").await?;
        let upgrade = ns.upgrade("corrected").database("orders").to("17.11").create().await?;
        upgrade.wait_successful().await?;
        let note = orders.value(NOTE).await?;
        ensure!(note == "21", "the triggers are executed in another order: {note}");
        let rights = orders.value(RIGHTS).await?;
        ensure!(rights == "tf", "the extension has other rights: {rights}");
        Ok(())
    })
    .await
}

/// All waits of an interruption: one of them is for a lock.
const TIMEOUT: Duration = Duration::from_mins(1);
const VISITS: &str = "CREATE TABLE visits (n int) PARTITION BY RANGE (n);
    CREATE TABLE visits_0 PARTITION OF visits FOR VALUES FROM (0) TO (100);
    CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (100) TO (200);
    INSERT INTO visits SELECT generate_series(0, 199)";
/// Rows in the partitioned table, rows in the partition that is detached, and partitions.
const ROWS: &str = "SELECT concat_ws(' ', count(*), (SELECT count(*) FROM visits_0), (SELECT count(*) FROM pg_inherits)) FROM visits";

fn in_background(orders: &Database, sql: &'static str) -> JoinHandle<anyhow::Result<()>> {
    let orders = orders.clone();
    tokio::spawn(async move { orders.sql("postgres", sql).await.map(drop) })
}

/// Waits until a query counts something.
async fn wait_until(orders: &Database, what: &str, query: &str) -> anyhow::Result<()> {
    eventually(what, TIMEOUT, async || {
        let count = orders.value(query).await?;
        ensure!(count != "0", "{query} counts nothing");
        Ok(())
    })
    .await
}

/// Detaches a partition without a lock on the table, and cancels that while it waits for a reader.
async fn interrupt_detach(orders: &Database) -> anyhow::Result<()> {
    let reader = in_background(orders, "BEGIN; SELECT count(*) FROM visits; SELECT pg_sleep(300)");
    let is_read = "SELECT count(*) FROM pg_locks WHERE relation = 'visits_0'::regclass";
    wait_until(orders, "a reader", is_read).await?;
    let detach = in_background(orders, "ALTER TABLE visits DETACH PARTITION visits_0 CONCURRENTLY");
    let is_pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    wait_until(orders, "a pending detachment", is_pending).await?;
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%'";
    orders.sql("postgres", cancel).await?;
    ensure!(detach.await?.is_err(), "the detachment was not interrupted");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN;%'";
    orders.sql("postgres", end).await?;
    ensure!(reader.await?.is_err(), "the reader has ended by itself");
    Ok(())
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn partition_whose_detachment_was_interrupted_is_refused_until_it_is_finished() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("15.20").ready().await?;
        orders.sql("postgres", VISITS).await?;
        interrupt_detach(&orders).await?;
        let rows = orders.value(ROWS).await?;
        ensure!(rows == "100 100 2", "the partition is not half detached: {rows}");
        let refused = ns.upgrade("refused").database("orders").to("17.11").create().await?;
        let (reason, message) = refused.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        let pending = finding(&message, "pending-detach")?;
        ensure!(pending.ends_with(": public.visits_0 of public.visits in \"postgres\""), "{pending}");

        orders.sql("postgres", "ALTER TABLE visits DETACH PARTITION visits_0 FINALIZE").await?;
        let upgrade = ns.upgrade("corrected").database("orders").to("17.11").create().await?;
        upgrade.wait_successful().await?;
        let rows = orders.value(ROWS).await?;
        ensure!(rows == "100 100 1", "the partition is not detached: {rows}");
        Ok(())
    })
    .await
}

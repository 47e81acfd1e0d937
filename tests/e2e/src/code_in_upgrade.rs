//! Code that a restore runs although the preflight does not refuse it: it is called by a function of the superuser.

use anyhow::ensure;

use crate::assertions::assert_untouched;
use crate::database::Database;

/// A definition whose code runs these statements in a server without clients whose data directory is like `acts_in`. It
/// creates the role `tenant`, which has no rights.
#[must_use]
pub fn code_in_upgrade(acts_in: &str, statements: &[&str]) -> String {
    let statements: Vec<_> = statements.iter().map(|it| format!("EXECUTE $q${it}$q$;")).collect();
    let statements = statements.join(" ");
    format!(
        "CREATE ROLE tenant LOGIN;
         CREATE SCHEMA s;
         CREATE FUNCTION s.act() RETURNS int VOLATILE LANGUAGE plpgsql AS
           $act$ BEGIN {statements} RETURN 0; END $act$;
         CREATE FUNCTION s.key(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
           IF current_setting('data_directory') LIKE '{acts_in}' AND current_setting('listen_addresses') = '' THEN
             PERFORM s.act();
           END IF;
           RETURN 0; END $$;
         CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(1)))"
    )
}

/// Upgrades a database from 13.16 to 17.11 whose code runs these statements in `pg_upgrade`; returns why that has failed. The
/// old version serves as before.
pub async fn fails_in_pg_upgrade(orders: &Database, statements: &[&str]) -> anyhow::Result<String> {
    orders.sql("postgres", &code_in_upgrade("/var/pv/17/%", statements)).await?;
    let before = orders.fingerprint().await?;
    let upgrade = orders.namespace().upgrade("orders-17").database("orders").to("17.11").create().await?;
    let (reason, message) = upgrade.wait_failed().await?;
    ensure!(reason == "PgUpgradedFailed", "{reason}: {message}");
    assert_untouched(orders, "13.16", &before).await?;
    Ok(message)
}

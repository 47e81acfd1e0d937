//! Code of users in `pg_upgrade` changes what its traces are compared with, and what the next server reads. The functions belong
//! to the superuser, so that the preflight does not refuse them, and act in `pg_upgrade` alone.

use anyhow::ensure;
use pgops_e2e::{Database, code_in_upgrade, fails_in_pg_upgrade, with_namespace};

/// What the code has the other server read: `work_mem` of 77 MB.
const SETTING: &str = "echo work_mem=77MB >> ";

/// Objects of another user, on which the code gives rights.
const PAYROLL: &str = "CREATE SCHEMA payroll; CREATE TABLE payroll.salaries (amount int)";

/// A statement that runs a script. What it fails to do does not end it.
fn script(script: &str) -> String {
    format!("COPY (SELECT WHERE false) TO PROGRAM $script${script}; true$script$")
}

/// Upgrades a database whose code runs these statements in `pg_upgrade`. The request fails with this in its message, and the old
/// version serves as before.
async fn assert_fails(statements: &[&str], expected: &str) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", PAYROLL).await?;
        let message = fails_in_pg_upgrade(&orders, statements).await?;
        ensure!(message.contains(expected), "{message}");
        ensure_own_settings(&orders).await
    })
    .await
}

async fn ensure_own_settings(orders: &Database) -> anyhow::Result<()> {
    let found = orders.value("SHOW work_mem").await?;
    ensure!(found != "77MB", "the server reads what code of users has written");
    Ok(())
}

#[tokio::test]
async fn rights_are_compared_although_code_removes_what_they_are_compared_with() -> anyhow::Result<()> {
    let remove = script(
        "cd /var/pv/.pgops/requests/*/ || exit 0; rm -f privileges.json census.json; echo {} > privileges.json; touch upgraded",
    );
    let settings = script(&format!("{SETTING} /var/pv/13/data/postgresql.auto.conf"));
    assert_fails(&[&remove, &settings, "ALTER ROLE tenant SUPERUSER"], "role \"tenant\": SUPERUSER").await
}

#[tokio::test]
async fn rights_are_compared_although_code_replaces_functions_of_the_server() -> anyhow::Result<()> {
    let forge =
        "CREATE FUNCTION pg_catalog.json_build_object(text, name, text, bool) RETURNS json LANGUAGE sql AS
        $sql$SELECT NULL::json$sql$";
    let expected = "function of pg_catalog: json_build_object, ";
    assert_fails(&[forge, "ALTER ROLE tenant SUPERUSER"], expected).await
}

#[tokio::test]
async fn rights_on_objects_of_users_are_compared() -> anyhow::Result<()> {
    let expected = "grant on relation: payroll, salaries, tenant: SELECT";
    assert_fails(&["GRANT SELECT ON payroll.salaries TO tenant"], expected).await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn policies_that_code_adds_are_found() -> anyhow::Result<()> {
    let policy = "CREATE POLICY p ON payroll.salaries TO tenant USING (true)";
    assert_fails(&[policy], "policy: payroll, salaries, p, ").await
}

#[tokio::test]
async fn settings_that_code_writes_are_not_read_by_the_new_server() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let files = "/var/pv/13/data/postgresql.auto.conf /var/pv/17/data/postgresql.auto.conf /var/pv/17/data/postgresql.conf";
        let write = script(&format!("for file in {files}; do {SETTING} $file; done"));
        orders.sql("postgres", &code_in_upgrade("/var/pv/17/%", &[&write])).await?;
        orders.sql("postgres", "ALTER SYSTEM SET log_min_duration_statement = '7s'").await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        upgrade.wait_successful().await?;
        ensure_own_settings(&orders).await?;
        let carried = orders.value("SHOW log_min_duration_statement").await?;
        ensure!(carried == "7s", "settings of ALTER SYSTEM are not carried: {carried}");
        Ok(())
    })
    .await
}

/// What the code in the rehearsal finds decides about the error of the restore.
#[tokio::test]
async fn code_in_the_rehearsal_finds_no_password_in_the_dumps() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let search = script("grep -rs e2e-password /run/pgops/dumps > /tmp/found");
        let judge = "SELECT CASE WHEN pg_read_file('/tmp/found') = '' THEN 1 / (random() * 0)::int ELSE sqrt(-random()) END";
        orders
            .sql("postgres", "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER v FOREIGN DATA WRAPPER w")
            .await?;
        let mapping = "CREATE USER MAPPING FOR PUBLIC SERVER v OPTIONS (user 'app', password 'e2e-password')";
        orders.sql("postgres", mapping).await?;
        orders.sql("postgres", &code_in_upgrade("/tmp/pgops/%", &[&search, judge])).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed" && message.contains("division by zero"), "{reason}: {message}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn passwords_that_the_rehearsal_does_not_see_are_upgraded() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let sql = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER v FOREIGN DATA WRAPPER w;
            CREATE USER MAPPING FOR PUBLIC SERVER v OPTIONS (user 'app', password 'e2e-password')";
        orders.sql("postgres", sql).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        upgrade.wait_successful().await?;
        // pg_dump writes options in their order.
        let options = "SELECT string_agg(option, ',' ORDER BY option) FROM pg_user_mapping, unnest(umoptions) AS option";
        let options = orders.value(options).await?;
        ensure!(options == "password=e2e-password,user=app", "{options}");
        Ok(())
    })
    .await
}

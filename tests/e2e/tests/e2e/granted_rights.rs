//! Rights that users have granted and revoked: those on objects of an extension, which its update creates again, and memberships,
//! whose grantors an upgrade to 16 or newer leaves behind.

use anyhow::ensure;
use pgops_api::plan::Step;
use pgops_e2e::{assert_step_given_up, with_namespace};

/// The update from 1.8 drops the view and the functions. It creates one of them with another parameter.
const EXTENSION: &str = "CREATE ROLE monitor; CREATE ROLE auditor; CREATE EXTENSION pg_stat_statements;
    REVOKE SELECT ON pg_stat_statements FROM PUBLIC;
    GRANT SELECT ON pg_stat_statements TO monitor WITH GRANT OPTION;
    REVOKE EXECUTE ON FUNCTION pg_stat_statements(boolean) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION pg_stat_statements(boolean) TO monitor;
    GRANT EXECUTE ON FUNCTION pg_stat_statements_reset(oid, oid, bigint) TO monitor";
/// What `monitor` may do, and what `auditor` may do, as every role.
const RIGHTS: &str =
    "SELECT concat(has_table_privilege('monitor', 'pg_stat_statements', 'SELECT WITH GRANT OPTION'),
        has_function_privilege('monitor', 'pg_stat_statements(boolean)', 'EXECUTE'),
        has_table_privilege('auditor', 'pg_stat_statements', 'SELECT'),
        has_function_privilege('auditor', 'pg_stat_statements(boolean)', 'EXECUTE'))";

/// One is granted by a role that administers the other, one by the role itself, which no role may do since 15.
const MEMBERSHIPS: &str = "CREATE ROLE team; CREATE ROLE lead; CREATE ROLE crew; CREATE ROLE clerk;
    GRANT team TO lead WITH ADMIN OPTION;
    SET SESSION AUTHORIZATION lead; GRANT team TO clerk;
    SET SESSION AUTHORIZATION crew; GRANT crew TO clerk";
const REVOKE: &str = "SET SESSION AUTHORIZATION lead; REVOKE team FROM clerk";
const IS_MEMBER: &str = "SELECT pg_has_role('clerk', 'team', 'MEMBER')";

#[tokio::test]
async fn rights_on_an_extension_are_kept_and_grantors_can_be_restored() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", EXTENSION).await?;
        orders.sql("postgres", MEMBERSHIPS).await?;
        ensure!(orders.value(RIGHTS).await? == "ttff", "the test has other rights than it needs");
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let request = upgrade.wait_successful().await?;

        let version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'";
        let version = orders.value(version).await?;
        ensure!(version == "1.11", "the extension is not updated: {version}");
        let rights = orders.value(RIGHTS).await?;
        ensure!(rights == "ttff", "the update has changed rights: {rights}");
        let parts = [
            "GRANT EXECUTE ON ROUTINE public.pg_stat_statements_reset(oid,oid,bigint) TO monitor",
            "give it on the object that has replaced it",
        ];
        assert_step_given_up(&request, Step::UpdateExtensions, &parts)?;

        let own = upgrade.note("own-membership").await?;
        ensure!(own.ends_with(": clerk in crew"), "{own}");
        let grantor = upgrade.note("membership-grantor").await?;
        let statements = "GRANT team TO clerk GRANTED BY lead; REVOKE team FROM clerk";
        ensure!(grantor.ends_with(&format!(": {statements}")), "{grantor}");
        orders.sql("postgres", REVOKE).await?;
        ensure!(orders.value(IS_MEMBER).await? == "t", "17 has kept the grantor: the note is not needed");
        orders.sql("postgres", statements).await?;
        ensure!(orders.value(IS_MEMBER).await? == "t", "the statements of the note end the membership");
        orders.sql("postgres", REVOKE).await?;
        ensure!(orders.value(IS_MEMBER).await? == "f", "the grantor cannot revoke the membership");
        Ok(())
    })
    .await
}

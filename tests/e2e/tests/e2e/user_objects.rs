//! User-defined objects and settings must not affect the upgrade.

use anyhow::ensure;
use pgops_api::plan::Step;
use pgops_e2e::{assert_step_given_up, format_conditions, with_namespace};

/// Functions that shadow built-ins, and one in a partition key: called by the upgrade, they would run as superuser. The rows
/// of `t11` are counted with the rights of its owner, those of `t12` are not: its tables have several owners.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn user_defined_functions_do_not_shadow_built_ins() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders =
            ns.postgres("orders").version("13.16").initdb("--locale=en_US.UTF-8 --encoding=UTF8");
        let orders = orders.ready().await?;
        let traps =
            "CREATE ROLE app; CREATE TABLE words (w text PRIMARY KEY); INSERT INTO words VALUES ('a');
            SET ROLE app;
            CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql AS $$
                BEGIN EXECUTE 'ALTER ROLE app SUPERUSER'; RETURN $1::text; END $$;
            CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE plpgsql AS $$
                BEGIN EXECUTE 'ALTER ROLE app SUPERUSER'; RETURN $2::text; END $$;
            CREATE FUNCTION rise() RETURNS int LANGUAGE plpgsql AS $$
                BEGIN IF current_user <> 'app' THEN EXECUTE 'ALTER ROLE app SUPERUSER'; END IF; RETURN 0; END $$;
            CREATE FUNCTION same(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
                BEGIN RETURN n + public.rise(); END $$;
            CREATE TABLE t (n int, w text) PARTITION BY RANGE (same(n));
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (w);
            CREATE TABLE t11 PARTITION OF t1 FOR VALUES FROM ('a') TO ('m');
            CREATE TABLE t12 PARTITION OF t1 FOR VALUES FROM ('m') TO ('z');
            INSERT INTO t11 VALUES (1, 'b');
            RESET ROLE; ALTER TABLE t12 OWNER TO postgres";
        orders.sql("postgres", traps).await?;
        // No fingerprint: the test's own queries would call these functions.
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let request = upgrade.wait_successful().await?;
        let parts = ["rows of public.t12 may belong to another partition of public.t", "have other owners"];
        assert_step_given_up(&request, Step::RebuildIndexes, &parts)?;
        let message = format_conditions(&request);
        ensure!(!message.contains("public.t11"), "rows of t11 were not counted: {message}");
        let trapped = "SELECT count(*) FROM pg_roles WHERE rolname = 'app' AND rolsuper";
        ensure!(orders.value(trapped).await? == "0", "a user-defined function ran as superuser");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn settings_of_all_roles_are_kept_even_read_only() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", "CREATE TABLE t AS SELECT 1 AS a").await?;
        for setting in
            ["search_path = app, public", "lock_timeout = '1s'", "default_transaction_read_only = on"]
        {
            orders.sql("postgres", &format!("ALTER ROLE ALL SET {setting}")).await?;
        }
        let settings = "SELECT array_to_string(setconfig, '; ') FROM pg_db_role_setting WHERE setrole = 0";
        let before = orders.value(settings).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        upgrade.wait_successful().await?;
        let after = orders.value(settings).await?;
        ensure!(after == before, "the settings were {before}, and are {after}");
        Ok(())
    })
    .await
}

//! Settings that are stored for databases and roles neither affect the upgrade nor are lost.

use anyhow::ensure;
use pgops_api::plan::UpgradeKind;
use pgops_e2e::{Database, ensure_request_is_complete, with_namespace};

/// Stores a value that differs from the default for each setting that a database and a role can have, for the database `shop`
/// and the superuser, and returns their number. Left out are those that the target does not have, and the path of
/// libraries, which no session could do without.
const STORE: &str = "DO $do$
    DECLARE setting record; value text;
    BEGIN
        CREATE TEMP TABLE stored (name text);
        FOR setting IN SELECT name, vartype, min_val, max_val, enumvals, boot_val FROM pg_settings
            WHERE name NOT IN ('operator_precedence_warning', 'vacuum_cleanup_index_scale_factor', 'force_parallel_mode',
                'dynamic_library_path', 'transaction_read_only', 'transaction_isolation', 'transaction_deferrable')
            UNION ALL SELECT 'role', 'string', NULL, NULL, NULL, NULL
        LOOP
            FOREACH value IN ARRAY COALESCE(CASE setting.vartype
                WHEN 'bool' THEN ARRAY[CASE setting.boot_val WHEN 'on' THEN 'off' ELSE 'on' END]
                WHEN 'enum' THEN (SELECT array_agg(e ORDER BY n DESC)
                    FROM unnest(setting.enumvals) WITH ORDINALITY AS values (e, n) WHERE e <> setting.boot_val)
                WHEN 'integer' THEN ARRAY['1', setting.min_val, setting.max_val]
                WHEN 'real' THEN ARRAY[setting.min_val, setting.max_val]
                ELSE CASE setting.name
                    WHEN 'role' THEN ARRAY['app']
                    WHEN 'DateStyle' THEN ARRAY['SQL, DMY']
                    WHEN 'TimeZone' THEN ARRAY['Asia/Kolkata']
                    WHEN 'client_encoding' THEN ARRAY['LATIN1']
                    ELSE ARRAY['hostile', '*', ''] END END, ARRAY['']) LOOP
                BEGIN
                    EXECUTE format('ALTER DATABASE shop SET %I = %s', setting.name,
                        CASE WHEN setting.name = 'DateStyle' THEN value ELSE quote_literal(value) END);
                    EXECUTE format('ALTER ROLE postgres SET %I = %s', setting.name,
                        CASE WHEN setting.name = 'DateStyle' THEN value ELSE quote_literal(value) END);
                    INSERT INTO stored VALUES (setting.name);
                    EXIT;
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
            END LOOP;
        END LOOP;
    END $do$;
    SELECT count(*) FROM stored";
const STORED: &str = "SELECT datname, setrole::regrole, setting FROM pg_db_role_setting
    LEFT JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) AS setting ORDER BY 1, 2, 3";

/// Definitions that another way to read or write values would change, and an index that the new image sorts differently.
const SHOP: &str = "CREATE TABLE words (w text PRIMARY KEY, b bool DEFAULT true CHECK (b = NULL OR b),
        a text[] DEFAULT '{NULL,x}', x xml DEFAULT '<a/><b/>', m money DEFAULT '1.5', i interval DEFAULT '-1 day 02:03',
        t timestamptz DEFAULT '2020-02-03 04:05:06+00', f float8 DEFAULT 0.1, s text DEFAULT E'back\\\\slash''s');
    CREATE VIEW \"Straße €\" AS SELECT w AS \"größe\" FROM words;
    INSERT INTO words SELECT chr(65 + g % 57) || chr(192 + g % 60) || g FROM generate_series(1, 1000) g";
const DEFINITIONS: &str = "SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid >= 16384
    UNION ALL SELECT relname, attname FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
        WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace ORDER BY 1, 2";
const INDEX: &str = "SELECT 'words_pkey'::regclass::oid";

/// What a query in the database `shop` returns, in formats that do not depend on stored settings.
async fn shop(database: &Database, query: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let settings =
        "SET search_path = public, pg_catalog; SET array_nulls = on; SET transform_null_equals = off;
        SET quote_all_identifiers = off; SET lc_monetary = 'C'; SET xmloption = content";
    database.sql("shop", &format!("{settings}; {query}")).await
}

#[tokio::test]
async fn stored_settings_of_any_kind_do_not_affect_the_upgrade() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns
            .postgres("orders")
            .version("13.16")
            .initdb("--locale=en_US.UTF-8 --encoding=UTF8")
            .ready()
            .await?;
        orders.sql("postgres", "CREATE ROLE app").await?;
        orders.sql("postgres", "CREATE DATABASE shop").await?;
        orders.sql("shop", SHOP).await?;
        let definitions = shop(&orders, DEFINITIONS).await?;
        let index = shop(&orders, INDEX).await?;
        let count: usize = orders.sql("postgres", STORE).await?.concat().concat().parse()?;
        ensure!(count > 150, "only {count} settings were stored");
        // Those of all roles are stored by the upgrade itself.
        for setting in ["role = app", "search_path = app, \"$user\"", "statement_timeout = 1"] {
            // A list is stored with the quotes that the session has for names.
            let set = format!("SET quote_all_identifiers = off; ALTER ROLE ALL SET {setting}");
            orders.sql("postgres", &set).await?;
        }
        let stored = orders.sql("postgres", STORED).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        ensure_request_is_complete(&upgrade.wait_successful().await?, UpgradeKind::Major)?;
        let after = orders.sql("postgres", STORED).await?;
        let lost: Vec<_> = stored.iter().filter(|setting| !after.contains(setting)).collect();
        ensure!(after == stored, "settings were lost or have changed: {lost:?}");
        let after = shop(&orders, DEFINITIONS).await?;
        ensure!(after == definitions, "the definitions were {definitions:?}, and are {after:?}");
        ensure!(shop(&orders, INDEX).await? != index, "the index on text was not rebuilt");
        Ok(())
    })
    .await
}

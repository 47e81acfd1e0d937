//! What comes after the outage: what an upgrade does while the database serves again.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use pgops_api::opsrequest::CONDITION_SUCCESSFUL;
use pgops_api::plan::Step;
use pgops_api::{Condition, PostgresOpsRequest, condition, names};
use pgops_e2e::{Cluster, Database, Namespace, Upgrade, assert_upgraded};

const OUTDATED: &str = "SELECT count(*) FROM pg_extension JOIN pg_available_extensions ON name = extname
    WHERE default_version <> extversion";

#[tokio::test]
async fn extensions_get_the_version_that_the_new_image_brings() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = ns.postgres("orders").version("13.16").ready().await?;
            let extensions =
                "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm;
                CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE EXTENSION \"uuid-ossp\"";
            orders.sql("postgres", extensions).await?;
            orders.sql("postgres", "CREATE DATABASE \"odd \"\"name\"\"\"").await?;
            orders.sql("odd \"name\"", "CREATE EXTENSION pg_stat_statements VERSION '1.4'").await?;
            let before = orders.fingerprint().await?;
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            assert_upgraded(&orders, &upgrade, &before).await?;
            let version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'";
            for dbname in ["postgres", "odd \"name\""] {
                let versions = orders.sql(dbname, version).await?.concat();
                ensure!(versions == ["1.11"], "pg_stat_statements of {dbname} is {versions:?}");
                let outdated = orders.sql(dbname, OUTDATED).await?.concat();
                ensure!(outdated == ["0"], "{outdated:?} extensions of {dbname} are outdated");
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn extension_that_cannot_be_updated_is_named_and_the_upgrade_is_successful() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = ns.postgres("orders").version("13.16").ready().await?;
            orders
                .sql(
                    "postgres",
                    "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_trgm VERSION '1.3';
                    CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                        IF current_query() LIKE '%pg_stat_statements%' THEN RAISE 'not this one'; END IF;
                    END $$;
                    CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER EXTENSION')
                        EXECUTE FUNCTION refuse()",
                )
                .await?;
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            let request = upgrade.wait_successful().await?;
            let conditions = &request.status.as_ref().context("the request has no status")?.conditions;
            let step =
                condition::find(conditions, "UpdateExtensions").context("the step has no condition")?;
            ensure!(step.status == "False", "the step that failed stands: {step:?}");
            ensure!(step.reason.as_deref() == Some("UpdateExtensionsFailed"), "its reason: {step:?}");
            let end = condition::find(conditions, CONDITION_SUCCESSFUL).context("the end is not told")?;
            for part in ["pg_stat_statements", "not this one", "ALTER EXTENSION"] {
                for condition in [step, end] {
                    let message = condition.message.as_deref().unwrap_or_default();
                    ensure!(message.contains(part), "{part:?} should be in {condition:?}");
                }
            }
            let versions =
                "SELECT extname || ' ' || extversion FROM pg_extension WHERE extname LIKE 'pg_%' ORDER BY 1";
            let versions = orders.sql("postgres", versions).await?.concat();
            ensure!(versions == ["pg_stat_statements 1.8", "pg_trgm 1.6"], "{versions:?}");
            Ok(())
        })
        .await
}

/// The request is Successful; the step does not stand, and both say why.
fn told_as_undone(request: &PostgresOpsRequest, step: Step, parts: &[&str]) -> anyhow::Result<()> {
    let conditions = &request.status.as_ref().context("the request has no status")?.conditions;
    let find =
        |type_: &str| condition::find(conditions, type_).with_context(|| format!("{type_} is not told"));
    let (undone, end) = (find(&step.to_string())?, find(CONDITION_SUCCESSFUL)?);
    ensure!(end.is_true(), "the request is not successful: {end:?}");
    ensure!(undone.status == "False", "the step that failed stands: {undone:?}");
    ensure!(undone.reason == Some(format!("{step}Failed")), "its reason: {undone:?}");
    let says = |condition: &Condition, part| condition.message.as_deref().unwrap_or_default().contains(part);
    for part in parts {
        ensure!(says(undone, part) && says(end, part), "{part:?} should be in {undone:?} and {end:?}");
    }
    Ok(())
}

const WORDS: &str = "CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
    CREATE TABLE words (w text PRIMARY KEY, x text COLLATE \"de-x-icu\", g text COLLATE german, c text COLLATE \"C\", n int);
    INSERT INTO words SELECT chr(65 + g % 57) || chr(192 + g % 60) || g, 'Straße' || g, 'äÄßzÖ' || g, g, g
        FROM generate_series(1, 3000) g;
    CREATE INDEX words_x ON words (x); CREATE INDEX words_g ON words (g); CREATE INDEX words_c ON words (c);
    CREATE INDEX words_n ON words (n); CREATE INDEX words_before_m ON words (n) WHERE w < 'm'";
/// A rebuilt index has another OID, and `pg_upgrade` keeps that of all others.
const OIDS: &str = "SELECT relname, oid FROM pg_class WHERE relname ~ '^words_' AND relkind = 'i' ORDER BY 1";

/// A database of 13.16 whose default is the C library's.
async fn words(ns: &Namespace) -> anyhow::Result<Database> {
    let orders = ns.postgres("orders").version("13.16").initdb("--locale=en_US.UTF-8 --encoding=UTF8");
    let orders = orders.ready().await?;
    orders.sql("postgres", WORDS).await?;
    Ok(orders)
}

/// Names of the indexes whose OID is another than before.
async fn rebuilt(database: &Database, before: &[Vec<String>]) -> anyhow::Result<Vec<String>> {
    let after = database.sql("postgres", OIDS).await?;
    ensure!(after.len() == before.len(), "indexes: {after:?}");
    Ok(after.into_iter().filter(|row| !before.contains(row)).map(|row| row[0].clone()).collect())
}

/// What the report says of the order of text.
async fn order_of_text(ns: &Namespace, upgrade: &Upgrade) -> anyhow::Result<String> {
    let report = ns.api::<ConfigMap>().get(&names::report(upgrade.name())).await?;
    report.data.and_then(|mut data| data.remove("order-of-text")).context("the report says nothing of it")
}

#[tokio::test]
async fn indexes_in_another_order_are_rebuilt_and_nothing_of_it_is_left_behind() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = words(ns).await?;
            let (before, oids) = (orders.fingerprint().await?, orders.sql("postgres", OIDS).await?);
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            upgrade.wait_successful().await?;
            let rebuilt = rebuilt(&orders, &oids).await?;
            ensure!(
                rebuilt == ["words_before_m", "words_g", "words_pkey", "words_x"],
                "rebuilt: {rebuilt:?}"
            );
            let stale =
                "SELECT count(*) FROM pg_collation WHERE collversion <> pg_collation_actual_version(oid)";
            ensure!(orders.value(stale).await? == "0", "a collation has the version of before");
            let amcheck = "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'";
            ensure!(orders.value(amcheck).await? == "0", "the extension of the proof is still there");
            let text = order_of_text(ns, &upgrade).await?;
            for part in
                ["the default of postgres", "de-x-icu", "ALTER COLLATION public.german REFRESH VERSION"]
            {
                ensure!(text.contains(part), "{part:?} should be in the report:\n{text}");
            }
            // Checks every B-tree index against its table.
            assert_upgraded(&orders, &upgrade, &before).await
        })
        .await
}

#[tokio::test]
async fn indexes_in_another_order_are_named_and_left_alone_with_report() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = words(ns).await?;
            let oids = orders.sql("postgres", OIDS).await?;
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11");
            let upgrade = upgrade.annotation(names::ANNOTATION_REINDEX, "report").create().await?;
            let request = upgrade.wait_successful().await?;
            told_as_undone(
                &request,
                Step::RebuildIndexes,
                &["words_x", "order-of-text", "orders-17-report"],
            )?;
            ensure!(rebuilt(&orders, &oids).await?.is_empty(), "an index was rebuilt");
            let text = order_of_text(ns, &upgrade).await?;
            let statement = "REINDEX INDEX CONCURRENTLY \"public\".\"words_x\"";
            ensure!(text.contains(statement), "{statement} should be in the report:\n{text}");
            ensure!(
                !text.contains("words_c") && !text.contains("words_n"),
                "too much is in the report:\n{text}"
            );
            Ok(())
        })
        .await
}

/// The duplicate comes in while the index looks away, as it does when it is searched in another order.
#[tokio::test]
async fn duplicate_that_a_wrong_index_let_in_is_named_with_its_key() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = words(ns).await?;
            let ready = |ready: bool| {
                format!(
                    "UPDATE pg_index SET indisready = {ready}, indislive = {ready} WHERE indexrelid = 'unique_w'::regclass"
                )
            };
            let table = "CREATE TABLE dup (w text); CREATE UNIQUE INDEX unique_w ON dup (w); INSERT INTO dup VALUES ('Straße')";
            orders.sql("postgres", table).await?;
            orders.sql("postgres", &ready(false)).await?;
            orders.sql("postgres", "INSERT INTO dup VALUES ('Straße')").await?;
            orders.sql("postgres", &ready(true)).await?;
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            let request = upgrade.wait_successful().await?;
            let parts = ["unique_w", "public.dup", "(w)=(Straße)", "REINDEX INDEX CONCURRENTLY"];
            told_as_undone(&request, Step::RebuildIndexes, &parts)?;
            let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
            ensure!(orders.value(invalid).await? == "0", "an index was left behind");
            // The server goes on to warn until a person has mended it.
            let text = order_of_text(ns, &upgrade).await?;
            ensure!(!text.contains("ALTER COLLATION"), "a version was refreshed:\n{text}");
            Ok(())
        })
        .await
}

/// The row comes in while the partition looks away, as if `Ä` had been sorted behind `m` before.
#[tokio::test]
async fn row_in_the_partition_of_another_order_is_named_with_the_way_to_move_it() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = words(ns).await?;
            let is_partition = |is: bool| {
                format!("UPDATE pg_class SET relispartition = {is} WHERE oid = 'm_to_z'::regclass")
            };
            let table = "CREATE TABLE parts (w text) PARTITION BY RANGE (w);
                CREATE TABLE a_to_m PARTITION OF parts FOR VALUES FROM ('a') TO ('m');
                CREATE TABLE m_to_z PARTITION OF parts FOR VALUES FROM ('m') TO ('z');
                INSERT INTO parts VALUES ('b'), ('n')";
            orders.sql("postgres", table).await?;
            for statement in
                [&is_partition(false), "INSERT INTO m_to_z VALUES ('Ärger')", &is_partition(true)]
            {
                orders.sql("postgres", statement).await?;
            }
            let found = "SELECT count(*) FROM parts WHERE w = 'Ärger'";
            ensure!(orders.value(found).await? == "0", "queries look into the wrong partition by themselves");
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            let request = upgrade.wait_successful().await?;
            let parts =
                ["1 rows of m_to_z", "another partition of parts", "SET enable_partition_pruning = off"];
            told_as_undone(&request, Step::RebuildIndexes, &parts)?;
            let text = order_of_text(ns, &upgrade).await?;
            ensure!(!text.contains("REFRESH VERSION"), "a version was refreshed:\n{text}");
            let remedy = "SET enable_partition_pruning = off; UPDATE parts SET w = w";
            orders.sql("postgres", remedy).await?;
            ensure!(orders.value(found).await? == "1", "the remedy that is told does not help");
            Ok(())
        })
        .await
}

/// A transaction that lasts makes a rebuild wait in the middle, with its new index there and not valid.
#[tokio::test]
async fn runner_killed_while_it_rebuilds_indexes_carries_on() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = words(ns).await?;
            let many =
                "SELECT format('CREATE INDEX ON words (w, (n + %s))', g) FROM generate_series(1, 60) g";
            for statement in orders.sql("postgres", many).await?.concat() {
                orders.sql("postgres", &statement).await?;
            }
            let before = orders.fingerprint().await?;
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            upgrade.wait_step(Step::ResumeDatabase).await?;
            let lasting = tokio::spawn({
                let orders = orders.clone();
                async move {
                    let sql = "BEGIN; SELECT count(*) FROM words; SELECT pg_sleep(60); COMMIT";
                    orders.sql("postgres", sql).await.map(drop)
                }
            });
            upgrade.wait_step(Step::RebuildIndexes).await?;
            let unfinished = "SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
                WHERE NOT indisvalid AND relname LIKE '%\\_ccnew%'";
            let began = std::time::Instant::now();
            while orders.value(unfinished).await? == "0" {
                ensure!(began.elapsed().as_secs() < 50, "no rebuild was seen in the middle");
            }
            upgrade.kill_runner().await?;
            lasting.await??;
            assert_upgraded(&orders, &upgrade, &before).await
        })
        .await
}

//! Findings of the preflight, and a dry run: the database keeps serving and is not paused.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::opsrequest::{CONDITION_DRY_RUN, CONDITION_SUCCESSFUL};
use pgops_api::{PostgresOpsRequest, condition, names};
use pgops_e2e::{DataSet, Database, assert_untouched, with_namespace};
use serde_json::json;

/// Ids of the findings for an upgrade from 13 to 17, and parts of the objects that they name.
const FINDINGS: [(&str, &[&str]); 15] = [
    ("prepared-transaction", &["tx_81 (by postgres in shop"]),
    ("closed-database", &["shut"]),
    ("logical-slot", &["feed (pgoutput in postgres)"]),
    (
        "reg-type-column",
        &["public.by_number.plain in \"shop\"", "public.by_number.deep", "public.config_view.config"],
    ),
    ("system-composite-column", &["public.of_system.row_of in \"shop\""]),
    ("aclitem-column", &["public.granted.acl in \"shop\""]),
    ("encoding-conversion", &["public.to_utf8 in \"shop\""]),
    ("postfix-operator", &["!+(bigint,NONE) in \"shop\""]),
    (
        "polymorphic-function",
        &["aggregate public.collect(anyelement)", "operator public.|+|(anyarray,anyelement)"],
    ),
    ("regular-expression", &["constraint slugs_slug_check on table public.slugs in \"shop\""]),
    ("missing-library", &["$libdir/adminpack"]),
    (
        "preload-library",
        &[
            "a library of shared_preload_libraries",
            "libLLVM",
            "a library of session_preload_libraries",
            "libm.so.6",
        ],
    ),
    ("schema-restore", &["\"reports\"", "buffers_backend", "CREATE VIEW \"public\".\"written\""]),
    ("physical-slot", &["standby_1"]),
    ("subscription-before-17", &["afar in \"shop\""]),
];

/// The UID of the server's pod, to detect a replacement.
async fn pod(database: &Database) -> anyhow::Result<String> {
    let pod = database.namespace().api::<Pod>().get(&names::pod(database.name(), 0)).await?;
    pod.uid().context("the pod has no uid")
}

#[tokio::test]
async fn preflight_finds_every_obstacle_while_the_database_serves() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("conf", "user.conf", "max_prepared_transactions = 10\nwal_level = logical\n").await?;
        let orders = ns.postgres("orders").version("13.16").field("configSecret", json!({"name": "conf"}));
        let orders = orders.filled_with(&[DataSet::Obstacles]).await?;
        let before = orders.fingerprint().await?;
        let served_by = pod(&orders).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        ensure!(message.contains("was not touched and serves 13.16"), "{message}");
        for (id, objects) in FINDINGS {
            let begin = format!("[{id}] ");
            let lines: Vec<_> = message.lines().filter(|line| line.contains(&begin)).collect();
            ensure!(!lines.is_empty(), "no finding {id} in:\n{message}");
            for object in objects {
                ensure!(
                    lines.iter().any(|line| line.contains(object)),
                    "{id} does not name {object}: {lines:?}"
                );
            }
        }
        ensure!(!message.contains("not-for-logs"), "the password of a subscription is shown: {message}");
        ensure!(pod(&orders).await? == served_by, "the server was replaced");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// The next request can upgrade the same database: the dry run leaves nothing behind.
#[tokio::test]
async fn dry_run_reports_its_findings_and_changes_nothing() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let manual_changes =
            "cd /var/pv/13/data && (echo work_mem = 7MB && echo max_wal_size = 2GB) >>postgresql.conf && touch server.key base/1/pgrn";
        orders.sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM '{manual_changes}'")).await?;
        let before = orders.fingerprint().await?;
        let served_by = pod(&orders).await?;

        let dry = |name: &str, word: &str| {
            let upgrade = ns.upgrade(name).database("orders").to("17.11");
            upgrade.annotation(names::ANNOTATION_DRY_RUN, word)
        };
        dry("other-word", "maybe").rejected_with(&[names::ANNOTATION_DRY_RUN, "maybe", "true"]).await?;
        let warned = dry("good", "true").dry_run().await?;
        ensure!(warned.stderr.contains("nothing is changed"), "no warning announces a dry run: {warned:?}");

        let request = dry("good", "true").create().await?.wait_successful().await?;
        ensure_dry_run_report(request)?;

        orders
            .sql("postgres", "CREATE VIEW v AS SELECT buffers_backend FROM pg_stat_bgwriter WHERE false")
            .await?;
        let (reason, message) = dry("bad", "true").create().await?.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "{reason}: {message}");
        for part in ["dry run: ", "was not touched", "[schema-restore]", "buffers_backend"] {
            ensure!(message.contains(part), "the message should contain {part:?}: {message}");
        }
        orders.sql("postgres", "DROP VIEW v").await?;
        ensure!(pod(&orders).await? == served_by, "the server was replaced");
        assert_untouched(&orders, "13.16", &before).await?;

        ns.upgrade("real").database("orders").to("17.11").create().await?.wait_successful().await?;
        ensure!(orders.server_version().await? == "17.11", "the upgrade after the dry run did nothing");
        Ok(())
    })
    .await
}

fn ensure_dry_run_report(request: PostgresOpsRequest) -> anyhow::Result<()> {
    let status = request.status.context("no status")?;
    ensure!(status.outage.is_none(), "a dry run has an outage: {:?}", status.outage);
    ensure!(status.step.as_deref() == Some("2/2"), "the last step is {:?}", status.step);
    let dry_run = condition::find(&status.conditions, CONDITION_DRY_RUN);
    ensure!(dry_run.is_some_and(pgops_api::Condition::is_true), "the condition DryRun is missing");
    let end = condition::find(&status.conditions, CONDITION_SUCCESSFUL)
        .context("the request has no condition Successful")?;
    let message = end.message.as_deref().unwrap_or_default();
    ensure!(end.reason.as_deref() == Some("DryRun"), "the reason is {:?}", end.reason);
    let parts = [
        "dry run: ",
        "was not touched and serves 13.16",
        "scratch 17.11 server",
        "mode ",
        "estimated outage: about ",
        "[settings-left-behind] note: ",
        "by ALTER SYSTEM: max_wal_size = 2GB, work_mem\n",
        "[files-left-behind] note: ",
        "server.key",
        "base/1/pgrn; pg_upgrade does not carry",
    ];
    for part in parts {
        ensure!(message.contains(part), "the message should contain {part:?}: {message}");
    }
    Ok(())
}

/// No standby exists, so that any later transaction of a client would wait, before the upgrade and after it.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn preflight_refuses_what_would_make_every_commit_wait_for_a_standby() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders
            .sql("postgres", "CREATE TABLE watched (id int PRIMARY KEY, schema oid, function oid[])")
            .await?;
        let before = orders.fingerprint().await?;
        orders.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby_1'").await?;
        orders.sql("postgres", "SELECT pg_reload_conf()").await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        orders.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names").await?;
        orders.sql("postgres", "SELECT pg_reload_conf()").await?;
        ensure!(reason == "PreflightFailed", "{reason}: {message}");
        for part in
            ["[synchronous-standby] ", "= standby_1", "[oid-column] note: ", "public.watched.function in"]
        {
            ensure!(message.contains(part), "the message should contain {part:?}: {message}");
        }
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

//! The preflight of minor upgrades: what would fail after the restart fails before it, and what release notes recommend is
//! done or told.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use pgops_api::names;
use pgops_e2e::{Database, assert_untouched, with_namespace};
use serde_json::json;

/// The UID of the server's pod, to detect a replacement.
async fn pod(database: &Database) -> anyhow::Result<String> {
    let pod = database.namespace().api::<Pod>().get(&names::pod(database.name(), 0)).await?;
    pod.uid().context("the pod has no uid")
}

/// A copy of a library of the image in the pod's `/tmp`, as an image of the user's own would have more than ours.
async fn copy_library(database: &Database, name: &str, copy: &str) -> anyhow::Result<()> {
    let directory = database.value("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'").await?;
    let copy = format!("COPY (SELECT WHERE false) TO PROGRAM 'cp {directory}/{name}.so /tmp/{copy}.so'");
    database.sql("postgres", &copy).await.map(drop)
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn minor_upgrade_to_an_image_without_a_library_is_refused() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("conf", "user.conf", "wal_level = logical\n").await?;
        let orders = ns.postgres("orders").version("13.16").field("configSecret", json!({"name": "conf"}));
        let orders = orders.ready().await?;
        orders.sql("postgres", "CREATE DATABASE shop").await?;
        copy_library(&orders, "fuzzystrmatch", "sounds").await?;
        let sounds = "CREATE FUNCTION sounds(text) RETURNS text AS '/tmp/sounds', 'soundex' LANGUAGE c IMMUTABLE STRICT";
        orders.sql("shop", sounds).await?;
        orders.sql("shop", "CREATE TABLE names (name text CHECK (sounds(name) <> ''))").await?;
        orders.sql("shop", "INSERT INTO names VALUES ('Anna')").await?;
        copy_library(&orders, "test_decoding", "feed").await?;
        orders.sql("shop", "SELECT pg_create_logical_replication_slot('to_warehouse', '/tmp/feed')").await?;
        // Missing already, so the upgrade takes nothing away.
        copy_library(&orders, "fuzzystrmatch", "gone").await?;
        let gone = "CREATE FUNCTION gone(text) RETURNS text AS '/tmp/gone', 'soundex' LANGUAGE c";
        orders.sql("shop", gone).await?;
        orders.sql("shop", "COPY (SELECT WHERE false) TO PROGRAM 'rm /tmp/gone.so'").await?;
        let before = orders.fingerprint().await?;
        let served_by = pod(&orders).await?;

        for (name, dry_run) in [("orders-dry", true), ("orders-13-23", false)] {
            let upgrade = ns.upgrade(name).database("orders").to("13.23");
            let upgrade =
                if dry_run { upgrade.annotation(names::ANNOTATION_DRY_RUN, "true") } else { upgrade };
            let (reason, message) = upgrade.create().await?.wait_failed().await?;
            ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
            for part in [
                "was not touched and serves 13.16",
                "2 findings block the upgrade",
                "[missing-library] functions in database \"shop\" need /tmp/sounds, which",
                "[output-plugin] replication slots to_warehouse need the output plugin /tmp/feed, which",
                "[missing-library] note: functions in database \"shop\" need /tmp/gone, which neither",
            ] {
                ensure!(message.contains(part), "the message should contain {part:?}: {message}");
            }
            ensure!(pod(&orders).await? == served_by, "the server was replaced");
        }
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// The dictionary is as an older image with another file would have it. The image has the time zone.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn minor_upgrade_to_an_image_without_what_definitions_name_is_refused() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("conf", "user.conf", "archive_mode = on\narchive_command = '/opt/absent/push %p'\n")
            .await?;
        let orders = ns.postgres("orders").version("13.16").field("configSecret", json!({"name": "conf"}));
        let orders = orders.ready().await?;
        orders.sql("postgres", "CREATE DATABASE texts").await?;
        for statement in [
            "CREATE TEXT SEARCH DICTIONARY own_words (TEMPLATE = simple)",
            "UPDATE pg_ts_dict SET dictinitoption = 'stopwords = ''ours''' WHERE dictname = 'own_words'",
            "CREATE VIEW seen AS SELECT now() AT TIME ZONE 'US/Pacific' AS seen",
            "CREATE ROLE clerk LOGIN",
        ] {
            orders.sql("texts", statement).await?;
        }
        copy_library(&orders, "auto_explain", "hook").await?;
        orders.sql("postgres", "ALTER ROLE clerk SET session_preload_libraries = '/tmp/hook'").await?;
        let before = orders.fingerprint().await?;
        let served_by = pod(&orders).await?;
        let upgrade = ns.upgrade("orders-13-23").database("orders").to("13.23").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for part in [
            "2 findings block the upgrade",
            "[text-search-file] ",
            "ours.stop of public.own_words in \"texts\"",
            "[preload-library] sessions load /tmp/hook by session_preload_libraries of role clerk",
            "[command-program] note: ",
        ] {
            ensure!(message.contains(part), "the message should contain {part:?}: {message}");
        }
        ensure!(pod(&orders).await? == served_by, "the server was replaced");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// The DDL of pgops would call the function as superuser. The function acts as soon as it is called so.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn code_of_ordinary_roles_in_event_triggers_is_refused_and_not_run() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        for statement in [
            "CREATE ROLE tenant",
            "CREATE FUNCTION act() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$",
            "CREATE EVENT TRIGGER guard ON ddl_command_end EXECUTE FUNCTION act()",
            "ALTER FUNCTION act() OWNER TO tenant",
            "SET ROLE tenant; CREATE OR REPLACE FUNCTION act() RETURNS event_trigger LANGUAGE plpgsql AS
               $$ BEGIN IF current_user <> 'tenant' THEN ALTER ROLE tenant SUPERUSER; END IF; END $$",
        ] {
            orders.sql("postgres", statement).await?;
        }
        // No fingerprint: its own definitions would call the function.
        for (name, version) in [("minor", "13.23"), ("major", "15.20")] {
            let upgrade = ns.upgrade(name).database("orders").to(version).create().await?;
            let (reason, message) = upgrade.wait_failed().await?;
            ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
            for part in ["[event-trigger-code] ", "guard (calls public.act() of \"tenant\") in \"postgres\""]
            {
                ensure!(message.contains(part), "the message should contain {part:?}: {message}");
            }
        }
        let superuser = orders.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'tenant'").await?;
        ensure!(superuser == "f", "the event trigger was called as superuser");
        let version = orders.value("SHOW server_version").await?;
        ensure!(version.starts_with("13.16"), "the server has become {version}");
        Ok(())
    })
    .await
}

/// A setting that was changed by hand in a file: the server has not read it yet, and would not start again.
#[tokio::test]
async fn minor_upgrade_that_could_not_start_is_refused() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let before = orders.fingerprint().await?;
        let served_by = pod(&orders).await?;
        // ALTER SYSTEM itself refuses such a value.
        let setting = "echo \"work_mem = nonsense\" >>/var/pv/13/data/postgresql.auto.conf";
        orders.sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM '{setting}'")).await?;
        let upgrade = ns.upgrade("orders-13-23").database("orders").to("13.23").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for part in ["[configuration] ", "work_mem"] {
            ensure!(message.contains(part), "the message should contain {part:?}: {message}");
        }
        ensure!(pod(&orders).await? == served_by, "the server was replaced");
        orders.sql("postgres", "ALTER SYSTEM RESET ALL").await?;
        assert_untouched(&orders, "13.16", &before).await?;
        ns.upgrade("orders-again").database("orders").to("13.23").create().await?.wait_successful().await?;
        Ok(())
    })
    .await
}

/// 15.20 recommends to rebuild indexes on `char(n)` and to look at GIN indexes; 15.19 has a new setting for output plugins.
#[tokio::test]
async fn minor_upgrade_does_and_tells_what_release_notes_recommend() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("15.18").ready().await?;
        orders
            .sql(
                "postgres",
                "CREATE TABLE codes (code char(4), words text[]); \
                 INSERT INTO codes SELECT i, ARRAY['a', i::text] FROM generate_series(1, 100) AS i; \
                 CREATE INDEX codes_code ON codes (code); CREATE INDEX codes_words ON codes USING gin (words); \
                 CREATE INDEX codes_length ON codes (cardinality(words))",
            )
            .await?;
        let files = "SELECT string_agg(pg_relation_filenode(name::regclass)::text, ' ' ORDER BY name) \
                     FROM unnest(ARRAY['codes_code', 'codes_length', 'codes_words']) AS name";
        let before = orders.value(files).await?;
        let upgrade = ns.upgrade("orders-15-20").database("orders").to("15.20").create().await?;
        upgrade.wait_successful().await?;
        let report = ns.api::<ConfigMap>().get(&names::report(upgrade.name())).await?;
        let report = report.data.and_then(|mut data| data.remove("report")).context("there is no report")?;
        for (part, object) in [
            ("B-tree indexes on char(n) may give", "\"public\".\"codes_code\" in \"postgres\""),
            ("GIN indexes may point to rows", "\"public\".\"codes_words\" in \"postgres\""),
        ] {
            let note = report.lines().find(|line| line.contains(part));
            let note = note.with_context(|| format!("no note has {part:?}:\n{report}"))?;
            ensure!(note.starts_with("[release-duty] note: ") && note.ends_with(object), "{note}");
            ensure!(note.contains("https://www.postgresql.org/docs/release/15.20/"), "{note}");
        }
        ensure!(!report.contains("[release-unread]"), "the notes of 15.20 are known:\n{report}");
        let after = orders.value(files).await?;
        let same: Vec<_> = before.split(' ').zip(after.split(' ')).map(|(old, new)| old == new).collect();
        ensure!(same == [false, true, true], "only the index on char(n) is rebuilt: {before} → {after}");
        Ok(())
    })
    .await
}

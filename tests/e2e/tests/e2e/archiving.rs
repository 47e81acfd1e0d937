//! What an upgrade means to archives of WAL, and to other state of a server that is not in its databases.

use anyhow::ensure;
use pgops_api::names;
use pgops_e2e::with_namespace;
use serde_json::json;

/// The library is a file that only the old server's pod has.
#[tokio::test]
async fn archive_library_that_the_image_lacks_is_refused_and_lost_state_is_noted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("conf", "user.conf", "archive_mode = on\ntrack_commit_timestamp = on\n").await?;
        let orders = ns.postgres("orders").version("15.18").field("configSecret", json!({"name": "conf"}));
        let orders = orders.ready().await?;
        let directory = orders.value("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'").await?;
        let copy = format!(
            "COPY (SELECT WHERE false) TO PROGRAM 'cp {directory}/basic_archive.so /tmp/own_archive.so'"
        );
        for statement in [
            copy.as_str(),
            "ALTER SYSTEM SET archive_library = '/tmp/own_archive'",
            "SELECT pg_reload_conf()",
            "CREATE ROLE team",
            "CREATE ROLE reader NOINHERIT IN ROLE team",
        ] {
            orders.sql("postgres", statement).await?;
        }
        let lacks = "[preload-library] archive_library names libraries that the target image lacks";
        let of_major = [
            "[wal-archive] note: ",
            "archive_mode = on, ",
            "[commit-timestamps] note: ",
            "[role-inherit] note: ",
            "reader (member of team)",
        ];
        for (name, to, parts) in [("orders-15-20", "15.20", &[][..]), ("orders-17", "17.11", &of_major[..])] {
            let dry = ns.upgrade(name).database("orders").to(to);
            let dry = dry.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
            let (reason, message) = dry.wait_failed().await?;
            ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
            for part in [lacks, "/tmp/own_archive"].iter().chain(parts) {
                ensure!(message.contains(part), "the message should contain {part:?}: {message}");
            }
        }
        ensure!(orders.server_version().await? == "15.18", "the dry run has upgraded the server");
        Ok(())
    })
    .await
}

//! A database whose images have the extensions.

use anyhow::{Context, ensure};
use pgops_e2e::{Cluster, Database, Namespace, PACKAGED_EXTENSIONS, PackagedExtension, integrity_problems};
use serde_json::{Value, json};

/// Releases of the images with extensions, one for each Debian suite.
const RELEASES: [&str; 4] = ["13.16", "15.18", "17.11", "18.6"];

/// The database that has all extensions.
pub const DBNAME: &str = "extensions";

/// As users configure the extensions: `pg_cron`'s scheduler waits for its database.
const USER_CONF: &str = "shared_preload_libraries = 'pg_stat_statements, pgaudit, pglogical, pg_cron, pg_partman_bgw, auto_explain'
cron.database_name = 'extensions'
pg_partman_bgw.dbname = 'extensions'
pgaudit.log = 'ddl, role'
wal_level = logical
max_worker_processes = 20
";

/// The catalog entry of a release whose image has the extensions.
pub fn entry(release: &str) -> String {
    format!("{release}-extensions")
}

/// Runs a test with catalog entries for the images that have the extensions.
pub async fn with_extension_images(
    test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let mut entries = Vec::new();
    for release in RELEASES {
        let mut spec = serde_json::to_value(cluster.catalog_entry(release).await?.spec)?;
        let image = spec["db"]["image"].as_str().context("the entry has no image")?;
        spec["db"]["image"] = Value::String(entry(image));
        entries.push((entry(release), spec));
    }
    cluster.with_catalog_entries(&entries, async || cluster.with_namespace(test).await).await
}

/// Creates a database of a release, with those extensions that Debian has for it.
pub async fn filled(ns: &Namespace, release: &str) -> anyhow::Result<Database> {
    ns.secret("conf", "user.conf", USER_CONF).await?;
    let orders =
        ns.postgres("orders").version(&entry(release)).initdb("--locale=en_US.UTF-8 --encoding=UTF8");
    let orders = orders.field("configSecret", json!({"name": "conf"})).ready().await?;
    orders.sql("postgres", &format!("CREATE DATABASE {DBNAME}")).await?;
    for extension in packaged(release) {
        extension.create(&orders, DBNAME).await?;
    }
    Ok(orders)
}

/// Checks all data of the extensions that Debian has for a release.
pub async fn check(database: &Database, release: &str, except: &[&str]) -> anyhow::Result<()> {
    for extension in packaged(release).filter(|extension| !except.contains(&extension.name)) {
        extension.check(database, DBNAME).await?;
    }
    let problems = integrity_problems(database, false).await?;
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

fn packaged(release: &str) -> impl Iterator<Item = &'static PackagedExtension> {
    let major = release.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or_default();
    PACKAGED_EXTENSIONS.iter().filter(move |extension| extension.majors.contains(&major))
}

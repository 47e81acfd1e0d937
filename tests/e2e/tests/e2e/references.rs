//! What definitions and settings name and the target image lacks is found before the outage, with the objects. The image
//! of 17.11 has no former names of time zones: since Debian 13 they are in a package of their own.

use anyhow::{Context, ensure};
use pgops_api::names;
use pgops_e2e::{Database, Namespace, with_namespace};
use serde_json::json;

/// `by_country` names no time zone, `home` only stores one.
const VISITS: &str = "CREATE TABLE visits (
        seen timestamptz, home text DEFAULT 'US/Hawaii', country text,
        day date GENERATED ALWAYS AS ((seen AT TIME ZONE 'US/Pacific')::date) STORED,
        CONSTRAINT by_night CHECK ((seen AT TIME ZONE 'US/Eastern')::time > '00:00'),
        CONSTRAINT by_country CHECK (country IN ('Cuba', 'Japan')));
    CREATE VIEW havana AS SELECT seen AT TIME ZONE 'Cuba' AS seen FROM visits;
    CREATE INDEX visits_day ON visits (date_trunc('day', seen AT TIME ZONE 'Asia/Calcutta'));
    CREATE FUNCTION local_time() RETURNS timestamp LANGUAGE plpgsql AS $$ BEGIN RETURN now() AT TIME ZONE 'US/Alaska'; END $$;
    INSERT INTO visits VALUES ('2024-05-01 12:00+00', DEFAULT, 'Japan')";

/// In a database of its own, as its restore fails: the dictionary is as an older image with another file would have it.
const OTHERS: &str = "CREATE TEXT SEARCH DICTIONARY own_words (TEMPLATE = simple);
    UPDATE pg_ts_dict SET dictinitoption = 'stopwords = ''ours''' WHERE dictname = 'own_words';
    CREATE FUNCTION trimmed() RETURNS date LANGUAGE sql SET timezone = 'US/Arizona' AS 'SELECT current_date'";

/// Ids of the findings, with what each must contain.
const FINDINGS: [(&str, &[&str]); 5] = [
    (
        "time-zone",
        &[
            "\"US/Pacific\" (now \"America/Los_Angeles\") in column day of table public.visits of \"postgres\"",
            "\"US/Eastern\" (now \"America/New_York\") in constraint by_night on table public.visits",
            "\"Cuba\" (now \"America/Havana\") in view public.havana",
            "\"Asia/Calcutta\" (now \"Asia/Kolkata\") in index public.visits_day",
            "\"US/Central\" (now \"America/Chicago\") in setting TimeZone of database texts",
            "\"US/Arizona\" (now \"America/Phoenix\") in setting TimeZone of function public.trimmed() of \"texts\"",
            "tzdata-legacy",
        ],
    ),
    (
        "time-zone-name",
        &[
            "note: ",
            "\"US/Alaska\" (now \"America/Anchorage\") in function public.local_time()",
            "\"US/Hawaii\" (now \"Pacific/Honolulu\") in column home of table public.visits",
        ],
    ),
    ("text-search-file", &["ours.stop of public.own_words in \"texts\""]),
    ("command-program", &["note: ", "/opt/absent/push (archive_command)"]),
    ("tls-file", &["ssl_cert_file = server.crt"]),
];

async fn filled(ns: &Namespace) -> anyhow::Result<Database> {
    ns.secret("conf", "user.conf", "archive_mode = on\narchive_command = '/opt/absent/push %p'\n").await?;
    let orders = ns.postgres("orders").version("13.16").field("configSecret", json!({"name": "conf"}));
    let orders = orders.ready().await?;
    orders.sql("postgres", VISITS).await?;
    orders.sql("postgres", "CREATE DATABASE texts").await?;
    orders.sql("texts", OTHERS).await?;
    orders.sql("postgres", "ALTER DATABASE texts SET timezone = 'US/Central'").await?;
    // Without the files the running server keeps its previous state.
    orders.sql("postgres", "ALTER SYSTEM SET ssl = on").await?;
    orders.sql("postgres", "SELECT pg_reload_conf()").await?;
    Ok(orders)
}

/// Works until the old data is deleted, or is missing at once: relative paths begin in the data directory.
const OWN_FILES: [&str; 11] = [
    "COPY (SELECT WHERE false) TO PROGRAM 'mkdir -p /var/pv/lib /var/pv/13/data/arch && touch /tmp/hosts'",
    "ALTER SYSTEM SET log_directory = '/var/pv/13/data/log'",
    "ALTER SYSTEM SET archive_command = 'cp %p arch/%f'",
    "SELECT pg_reload_conf()",
    "CREATE EXTENSION file_fdw",
    "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
    "CREATE FOREIGN TABLE imported (line text) SERVER files OPTIONS (filename 'import/lines.txt')",
    "CREATE FOREIGN TABLE logged (line text) SERVER files OPTIONS (filename '/var/pv/13/data/log/postgresql.log')",
    "CREATE FOREIGN TABLE hosted (line text) SERVER files OPTIONS (filename '/tmp/hosts')",
    "CREATE FOREIGN TABLE reported (line text) SERVER files OPTIONS (program '/opt/absent/report --key sesame')",
    "ALTER DATABASE template1 RENAME TO former_template",
];
const OWN_FINDINGS: [&str; 9] = [
    "[missing-template] ",
    "[data-directory-path] these paths",
    "setting archive_command (arch)",
    "setting log_directory (/var/pv/13/data/log)",
    "filename of foreign table public.imported in \"postgres\" (import/lines.txt)",
    "filename of foreign table public.logged in \"postgres\" (/var/pv/13/data/log/postgresql.log)",
    "/tmp/hosts (filename of foreign table public.hosted in \"postgres\")",
    "/opt/absent/report (program of foreign table public.reported in \"postgres\")",
    "[missing-library] functions in database \"postgres\" need /var/pv/lib/sounds, which is a file of the volume",
];

#[tokio::test]
async fn references_to_the_old_data_and_a_lost_template_are_found_before_the_outage() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("conf", "user.conf", "archive_mode = on\narchive_command = 'true'\n").await?;
        let orders = ns.postgres("orders").version("13.16").field("configSecret", json!({"name": "conf"}));
        let orders = orders.ready().await?;
        for statement in OWN_FILES {
            orders.sql("postgres", statement).await?;
        }
        let directory = orders.value("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'").await?;
        let copy = format!("cp {directory}/fuzzystrmatch.so /var/pv/lib/sounds.so");
        orders.sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM '{copy}'")).await?;
        let sounds =
            "CREATE FUNCTION sounds(text) RETURNS text AS '/var/pv/lib/sounds', 'soundex' LANGUAGE c STRICT";
        orders.sql("postgres", sounds).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for part in OWN_FINDINGS {
            ensure!(message.contains(part), "the message should contain {part:?}: {message}");
        }
        ensure!(!message.contains("sesame"), "the arguments of a program are shown: {message}");
        ensure!(
            message.matches("/var/pv/lib/sounds").count() == 1,
            "the library is reported twice: {message}"
        );
        ensure!(orders.server_version().await? == "13.16", "the server was upgraded");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn references_that_the_target_image_lacks_are_found_before_the_outage() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = filled(ns).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for (id, parts) in FINDINGS {
            let begin = format!("[{id}] ");
            let line = message.lines().find(|line| line.contains(&begin));
            let line = line.with_context(|| format!("no finding {id} in:\n{message}"))?;
            for part in parts {
                ensure!(line.contains(part), "{id} should contain {part:?}: {line}");
            }
        }
        ensure!(!message.contains("by_country"), "a country is taken for a time zone: {message}");
        orders.sql("postgres", "INSERT INTO visits VALUES ('2024-05-02 12:00+00', DEFAULT, 'Cuba')").await?;

        // With the names that both images have nothing is left to refuse.
        for statement in [
            "ALTER TABLE visits DROP COLUMN day, DROP CONSTRAINT by_night,
                ADD day date GENERATED ALWAYS AS ((seen AT TIME ZONE 'America/Los_Angeles')::date) STORED",
            "DROP VIEW havana",
            "DROP INDEX visits_day",
            "DROP DATABASE texts",
            "ALTER SYSTEM RESET ssl",
            "SELECT pg_reload_conf()",
        ] {
            orders.sql("postgres", statement).await?;
        }
        let dry = ns.upgrade("orders-dry").database("orders").to("17.11");
        dry.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?.wait_successful().await?;
        Ok(())
    })
    .await
}

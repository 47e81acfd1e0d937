//! Snapshots of the messages that users read: changing one changes the product.

use std::sync::Arc;

use super::MAX_WARNING;
use super::tests::{Scenario, change, database, pause, request};
use crate::Postgres;
use crate::matrix::Catalog;
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_CREATEROLE_GRANTS, ANNOTATION_DRY_RUN,
    ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX, ANNOTATION_REPARTITION, ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::{Apply, Phase, PostgresOpsRequestStatus};
use crate::postgres::{PostgresPhase, PostgresStatus, StorageType};
use crate::postgresversion::{DatabaseImage, Distribution, PostgresVersionSpec};
use insta::assert_snapshot;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// Names, versions, base systems and allowlists.
const CATALOG: [(&str, &str, &str, &str); 13] = [
    ("13.16", "13.16", "debian", ">= 13.9, < 18"),
    ("13.9", "13.9", "debian", ">= 13.9, < 18"),
    ("14.2", "14.2", "debian", ">= 14.2, < 18"),
    ("15.20", "15.20", "debian", ">= 15.20, < 19"),
    ("16.5", "16.5", "debian", "~16"),
    ("17.1", "17.1", "debian", ">= 17.1, < 19"),
    ("17.11", "17.11", "debian", ">= 17.11, < 19"),
    ("17.11-gis", "17.11", "debian", ""),
    ("17.11-ubi", "17.11", "ubi9", ">= 17.11"),
    ("17.11-alpine", "17.11", "alpine", ">= 17.11"),
    ("17.11-own", "17.11", "ouros", ">= 17.11"),
    ("18.6", "18.6", "debian", ">= 18.6"),
    ("seventeen", "17beta1", "debian", ""),
];

fn spec(name: &str, version: &str, base_os: &str, allow: &str) -> PostgresVersionSpec {
    let mut spec = PostgresVersionSpec {
        version: version.to_owned(),
        db: DatabaseImage { image: format!("postgres:{name}"), base_os: Some(base_os.to_owned()) },
        distribution: Some(if name == "17.11-gis" { Distribution::PostGIS } else { Distribution::Official }),
        deprecated: name == "15.20",
        end_of_life: name == "13.9" || name == "14.2",
        ..PostgresVersionSpec::default()
    };
    spec.update_constraints.allowlist.extend((!allow.is_empty()).then(|| allow.to_owned()));
    spec
}

fn scenario(from: &str, to: &str) -> Scenario {
    let specs = CATALOG.map(|(name, version, base_os, allow)| (name, spec(name, version, base_os, allow)));
    let mut scenario = Scenario::new();
    scenario.catalog = Catalog::new(specs.iter().map(|(name, spec)| (*name, spec)));
    scenario.database = Some(database(from));
    scenario.request = request("orders-up", to);
    scenario
}

fn annotate(scenario: &mut Scenario, name: &str, value: &str) {
    scenario.request.metadata.annotations = Some([(name.to_owned(), value.to_owned())].into());
}

/// The reason, and the message that kubectl prints.
fn denial(scenario: &Scenario) -> String {
    let denial = scenario.decide().unwrap_err();
    format!("{}: {denial}", denial.reason.as_str())
}

fn denied(from: &str, to: &str) -> String {
    denial(&scenario(from, to))
}

fn denied_with(spoil: impl FnOnce(&mut Scenario)) -> String {
    let mut scenario = scenario("13.16", "17.11");
    spoil(&mut scenario);
    denial(&scenario)
}

fn warnings(scenario: &Scenario) -> String {
    let warnings = scenario.decide().unwrap().warnings;
    assert!(warnings.iter().all(|line| line.chars().count() <= MAX_WARNING && !line.ends_with('…')));
    warnings.join("\n")
}

#[test]
fn texts_of_matrix_denials() {
    assert_snapshot!(denied("17.11", "15.20"), @"Downgrade: upgrade from version 17.11 to 15.20 is not supported: PostgreSQL cannot go back to an older major version (17 → 15); restore a backup taken on 15, or stay. Allowed targets for demo/orders (17.11): 18.6");
    assert_snapshot!(denied("18.6", "17.11"), @"Downgrade: upgrade from version 18.6 to 17.11 is not supported: PostgreSQL cannot go back to an older major version (18 → 17); restore a backup taken on 17, or stay. The catalog has no allowed target for demo/orders (18.6)");
    assert_snapshot!(denied("13.16", "18.6"), @r#"Constraints: upgrade from version 13.16 to 18.6 is not supported: the constraints of 13.16 allow ">= 13.9, < 18". Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9. In two upgrades: 13.16 → 17.11 → 18.6"#);
    assert_snapshot!(denied("16.5", "18.6"), @r#"Constraints: upgrade from version 16.5 to 18.6 is not supported: the constraints of 16.5 allow "~16". The catalog has no allowed target for demo/orders (16.5)"#);
    assert_snapshot!(denied("13.16", "17.2"), @r#"UnknownTarget: upgrade from version 13.16 to 17.2 is not supported: there is no PostgresVersion "17.2"; did you mean 17.1? Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
    assert_snapshot!(denied("13.16", "latest"), @r#"UnknownTarget: upgrade from version 13.16 to latest is not supported: there is no PostgresVersion "latest". Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
    assert_snapshot!(denied("13.16", "seventeen"), @r#"UnknownTarget: upgrade from version 13.16 to seventeen is not supported: PostgresVersion "seventeen" is ignored: "17beta1" is not a version: expected numbers such as "16.10"; correct its spec.version. Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
    assert_snapshot!(denied("12.4", "17.11"), @r#"UnknownSource: upgrade from version 12.4 to 17.11 is not supported: the database's PostgresVersion "12.4" is not in the catalog, so its constraints are unknown; create that PostgresVersion, then try again"#);
    assert_snapshot!(denied("13.16", "17.11-gis"), @r#"Distribution: upgrading between different distributions is not allowed: current version "13.16" uses distribution "Official" but target version "17.11-gis" uses distribution "PostGIS": choose a target of the same distribution, or dump and restore into a new database. Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
}

#[test]
fn texts_of_base_system_denials() {
    assert_snapshot!(denied("17.11", "17.11-ubi"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11" uses baseOS "debian" but target version "17.11-ubi" uses baseOS "ubi9": another version of the C library may sort text differently, and indexes on text would miss rows; to upgrade anyway and have them rebuilt afterwards, set the annotation pgops.dev/allow-base-os-change: "true" on the request. Allowed targets for demo/orders (17.11): 18.6"#);
    assert_snapshot!(denied("17.11", "17.11-alpine"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11" uses baseOS "debian" but target version "17.11-alpine" uses baseOS "alpine": their C libraries (glibc and musl) sort text differently, so no index on text could be trusted; dump and restore into a new database instead. Allowed targets for demo/orders (17.11): 18.6"#);
    assert_snapshot!(denied("17.11-alpine", "17.11"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11-alpine" uses baseOS "alpine" but target version "17.11" uses baseOS "debian": their C libraries (glibc and musl) sort text differently, so no index on text could be trusted; dump and restore into a new database instead. The catalog has no allowed target for demo/orders (17.11-alpine)"#);
    assert_snapshot!(denied("17.11", "17.11-own"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11" uses baseOS "debian" but target version "17.11-own" uses baseOS "ouros": pgops does not know "ouros", so it cannot tell how text is sorted there; correct spec.db.baseOS of that PostgresVersion if it is misspelled, or dump and restore into a new database. Allowed targets for demo/orders (17.11): 18.6"#);
}

#[test]
fn texts_of_field_denials() {
    assert_snapshot!(denied_with(|scenario| scenario.request.spec.update_version = None), @"MissingTarget: `spec.updateVersion` nil not supported in UpdateVersion type: name the PostgresVersion to move to in spec.updateVersion.targetVersion");
    assert_snapshot!(denied_with(|scenario| scenario.request.spec.timeout = Some("5 minutes".into())), @r#"InvalidTimeout: spec.timeout: "5 minutes" is not a duration: expected numbers with units, such as "5m" or "1h30m""#);
    assert_snapshot!(denied_with(|scenario| scenario.request.spec.timeout = Some("-5m".into())), @r#"InvalidTimeout: spec.timeout: "-5m" is negative: expected a duration such as "5m""#);
    assert_snapshot!(denied_with(|scenario| scenario.request.spec.timeout = Some("10ms".into())), @r#"InvalidTimeout: spec.timeout: "10ms" is too short for any step: set at least "1s", or omit it for no limit"#);
    assert_snapshot!(denied_with(|scenario| scenario.request.spec.max_retries = -1), @"InvalidRetries: spec.maxRetries: -1 is negative: set 0 for a single attempt");
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_TRANSFER_MODE, "teleport")), @r#"InvalidTransferMode: annotation pgops.dev/transfer-mode: "teleport" is not one of copy, copy-file-range, clone and link: omit it to let pgops choose"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_TRANSFER_MODE, "swap")), @r#"InvalidTransferMode: annotation pgops.dev/transfer-mode: "swap" is not supported, since an interruption while pg_upgrade moves the old files would leave neither version intact: use link, or omit it to let pgops choose"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_KEEP_OLD_DATA, "a week")), @r#"InvalidKeepOldData: annotation pgops.dev/keep-old-data: "a week" is not a duration: expected numbers with units, such as "5m" or "1h30m"; omit it to keep old data that is still intact for a day"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_REINDEX, "all")), @r#"InvalidReindex: annotation pgops.dev/reindex: "all" is not one of affected, report and none: omit it to have affected indexes rebuilt"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_REPARTITION, "yes")), @r#"InvalidRepartition: annotation pgops.dev/repartition: "yes" is neither report nor move: omit it to have rows in the wrong partition reported"#);
    assert_snapshot!(denied_with(|scenario| {
        annotate(scenario, ANNOTATION_REPARTITION, "move");
        let annotations = scenario.request.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_REINDEX.to_owned(), "report".to_owned());
    }), @r#"InvalidRepartition: annotation pgops.dev/repartition: "move" requires rebuilt indexes, since a unique index that misses rows admits duplicates, but pgops.dev/reindex is "report": omit that one, or have rows in the wrong partition only reported"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_CREATEROLE_GRANTS, "yes")), @r#"InvalidCreateroleGrants: annotation pgops.dev/createrole-grants: "yes" is neither report nor carry: omit it to have the GRANTs for roles with CREATEROLE reported"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_ALLOW_BASE_OS_CHANGE, "yes")), @r#"InvalidBaseOSChange: annotation pgops.dev/allow-base-os-change: "yes" is neither "true" nor "false": omit it to keep the base system"#);
    assert_snapshot!(denied_with(|scenario| annotate(scenario, ANNOTATION_DRY_RUN, "yes")), @r#"InvalidDryRun: annotation pgops.dev/dry-run: "yes" is neither "true" nor "false": set "true" to run only the preflight, or omit it to upgrade"#);
}

#[test]
fn texts_of_database_denials() {
    assert_snapshot!(denied_with(|scenario| scenario.database = None), @r#"DatabaseNotFound: spec.databaseRef demo/orders, is invalid or not found: there is no Postgres "orders" in namespace "demo"; create the request in its database's namespace (kubectl get pg -A lists all)"#);
    let leave = |database: &mut Postgres| {
        database.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    };
    assert_snapshot!(denied_with(|scenario| change(scenario, leave)), @"DatabaseDeleting: demo/orders is being deleted and can no longer be upgraded; once it is deleted, create it again with the version you want");
    let phase = |database: &mut Postgres| {
        database.status = Some(PostgresStatus { phase: Some(PostgresPhase::NotReady), ..Default::default() });
    };
    assert_snapshot!(denied_with(|scenario| change(scenario, phase)), @"DatabaseNotReady: demo/orders is NotReady, and a request with apply: IfReady starts only when it is Ready: wait for that (kubectl get pg orders -n demo -w), or set spec.apply: Always");
    assert_snapshot!(denied_with(|scenario| change(scenario, |database| database.spec.halted = Some(true))), @"DatabaseHalted: demo/orders is halted: set spec.halted: false, wait until it is Ready, then apply the request again");
    let ephemeral = |database: &mut Postgres| database.spec.storage_type = Some(StorageType::Ephemeral);
    assert_snapshot!(denied_with(|scenario| change(scenario, ephemeral)), @"EphemeralStorage: demo/orders has storageType Ephemeral: its data is deleted with its pod, so there is nothing to upgrade; create a database of the target version instead");
    assert_snapshot!(denied_with(|scenario| change(scenario, |database| database.spec.replicas = Some(3))), @"ReplicasUnsupported: demo/orders has 3 replicas, and pgops upgrades only databases with one server: set spec.replicas: 1 first");
    assert_snapshot!(denied_with(|scenario| pause(scenario, "by hand, Ada")), @r#"DatabasePaused: demo/orders is paused ("by hand, Ada"): wait until the pause is lifted; if it is no longer needed, remove the condition Paused from the database's status"#);
    let by_request = "paused by PostgresOpsRequest orders-15 (uid 77) for the upgrade 13.16 to 15.20";
    assert_snapshot!(denied_with(|scenario| pause(scenario, by_request)), @r#"DatabasePaused: demo/orders is paused ("paused by PostgresOpsRequest orders-15 (uid 77) for the upgrade 13.16 to 15.20"): wait until that request ends; if it has failed, fix the cause and resume it: kubectl annotate pgops orders-15 -n demo pgops.dev/carry-on=true; if it was deleted, see docs/runbook.md"#);
    let mut other = request("orders-15", "15.20");
    other.status = Some(PostgresOpsRequestStatus { phase: Some(Phase::Progressing), ..Default::default() });
    assert_snapshot!(denied_with(|scenario| scenario.active = vec![Arc::new(other)]), @"RequestActive: another request is active on demo/orders: PostgresOpsRequest orders-15 (Progressing, to 15.20); wait until it ends (kubectl get pgops orders-15 -n demo -w), or delete it if it has not started");
}

#[test]
fn texts_of_unsupported_versions() {
    let specs = ["9.6.24", "9.6", "17.0-rc1", "16.5"]
        .map(|version| (version, PostgresVersionSpec { version: version.into(), ..Default::default() }));
    let denied = |from: &str, to: &str| {
        let mut scenario = scenario(from, to);
        scenario.catalog = Catalog::new(specs.iter().map(|(name, spec)| (*name, spec)));
        denial(&scenario)
    };
    assert_snapshot!(denied("9.6.24", "16.5"), @r#"UnsupportedVersion: PostgresVersion 9.6.24 cannot be upgraded from or to: "9.6.24" is older than PostgreSQL 10; pgops upgrades between releases of PostgreSQL 10 or newer: correct its spec.version if it is wrong"#);
    assert_snapshot!(denied("9.6", "16.5"), @r#"UnsupportedVersion: PostgresVersion 9.6 cannot be upgraded from or to: "9.6" is older than PostgreSQL 10; pgops upgrades between releases of PostgreSQL 10 or newer: correct its spec.version if it is wrong"#);
    assert_snapshot!(denied("16.5", "17.0-rc1"), @r#"UnsupportedVersion: PostgresVersion 17.0-rc1 cannot be upgraded from or to: "17.0-rc1" is not a PostgreSQL version: expected MAJOR.MINOR, such as "16.10"; pgops upgrades between releases of PostgreSQL 10 or newer: correct its spec.version if it is wrong"#);
}

#[test]
fn texts_of_upgrade_warnings() {
    assert_snapshot!(warnings(&scenario("13.16", "17.11")), @"
    major upgrade 13.16 → 17.11 of demo/orders; it skips 14, 15 and 16: read the release notes of each
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to postgres:17.11: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&scenario("13.16", "15.20")), @"
    major upgrade 13.16 → 15.20 of demo/orders; it skips 14: read the release notes of 14 and 15
    15.20 is deprecated: choose a newer version if you can
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to postgres:15.20: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&scenario("17.11", "18.6")), @"
    major upgrade 17.11 → 18.6 of demo/orders: read the release notes of 18
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to postgres:18.6: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&scenario("13.16", "13.9")), @"
    minor upgrade 13.16 → 13.9 of demo/orders: the data is unchanged, the server restarts
    13.9 is an older minor release than 13.16: it lacks the fixes in between, including security fixes
    13.9 is vulnerable: restoring its dumps, as an upgrade does, may run code of the dumped server's users (CVE-2025-8714, CVE-2025-8715); use 13.23 or later (https://www.postgresql.org/docs/release/13.22/)
    13.9 is end of life: the PostgreSQL project no longer releases fixes for this major version
    demo/orders has no standby: reads and writes stop while the server restarts
    the image changes to postgres:13.9: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&scenario("13.16", "13.16")), @"
    demo/orders already runs 13.16: the server restarts only if the catalog now has another image for it
    13.16 is vulnerable: restoring its dumps, as an upgrade does, may run code of the dumped server's users (CVE-2025-8714, CVE-2025-8715); use 13.23 or later (https://www.postgresql.org/docs/release/13.22/)
    demo/orders has no standby: if the server restarts, reads and writes stop meanwhile
    ");
}

#[test]
fn texts_of_faulty_release_warnings() {
    let line = |from: &str, to: &str| warnings(&scenario(from, to)).lines().nth(1).unwrap().to_owned();
    assert_snapshot!(line("13.16", "17.1"), @"17.1 should be skipped: extensions such as timescaledb may crash, and ALTER ROLE ... SET role is ignored; use 17.11 or later (https://www.postgresql.org/docs/release/17.2/)");
    assert_snapshot!(line("13.9", "17.11"), @"13.9 is vulnerable: a user who may create objects can run SQL as the superuser who dumps, as an upgrade does (CVE-2024-7348); upgrade it to 13.23 or later first (https://www.postgresql.org/docs/release/13.16/)");
    assert_snapshot!(line("13.16", "14.2"), @"14.2 should be skipped: CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY may omit rows from the index; use 14.24 or later (https://www.postgresql.org/docs/release/14.4/)");
}

#[test]
fn texts_of_base_system_warnings() {
    let mut scenario = scenario("17.11", "17.11-ubi");
    annotate(&mut scenario, ANNOTATION_ALLOW_BASE_OS_CHANGE, "true");
    assert_snapshot!(warnings(&scenario), @"
    minor upgrade 17.11 → 17.11-ubi of demo/orders: the data is unchanged, the server restarts
    demo/orders has no standby: reads and writes stop while the server restarts
    the base system changes from debian to ubi9, and with it possibly the order of text: if so, indexes on text are rebuilt afterwards
    ");
}

#[test]
fn texts_of_not_ready_warnings() {
    let mut scenario = scenario("17.11", "17.11");
    scenario.request.spec.apply = Apply::Always;
    change(&mut scenario, |database| {
        database.status = Some(PostgresStatus { phase: Some(PostgresPhase::NotReady), ..Default::default() });
    });
    assert_snapshot!(warnings(&scenario), @"
    demo/orders already runs 17.11: the server restarts only if the catalog now has another image for it
    demo/orders has no standby: if the server restarts, reads and writes stop meanwhile
    demo/orders is NotReady, and the request proceeds anyway (apply: Always); the preflight may not be able to connect
    ");
}

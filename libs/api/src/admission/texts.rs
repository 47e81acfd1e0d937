//! What people read, to the letter: a change of these is a change of the product.

use super::tests::{World, change, database, pause, request};
use super::*;
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_DRY_RUN, ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX,
    ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::PostgresOpsRequestStatus;
use crate::postgres::PostgresStatus;
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

fn world(from: &str, to: &str) -> World {
    let specs = CATALOG.map(|(name, version, base_os, allow)| (name, spec(name, version, base_os, allow)));
    let mut world = World::new();
    world.catalog = Catalog::new(specs.iter().map(|(name, spec)| (*name, spec)));
    world.database = Some(database(from));
    world.request = request("orders-up", to);
    world
}

fn annotate(world: &mut World, name: &str, value: &str) {
    world.request.metadata.annotations = Some([(name.to_owned(), value.to_owned())].into());
}

/// The word, and what kubectl prints.
fn refusal(world: &World) -> String {
    let denial = world.decide().unwrap_err();
    format!("{}: {denial}", denial.reason.as_str())
}

fn refused(from: &str, to: &str) -> String {
    refusal(&world(from, to))
}

fn refused_with(spoil: impl FnOnce(&mut World)) -> String {
    let mut world = world("13.16", "17.11");
    spoil(&mut world);
    refusal(&world)
}

fn warnings(world: &World) -> String {
    let warnings = world.decide().unwrap().warnings;
    assert!(warnings.iter().all(|line| line.chars().count() <= MAX_WARNING && !line.ends_with('…')));
    warnings.join("\n")
}

#[test]
fn refusals_of_the_matrix() {
    assert_snapshot!(refused("17.11", "15.20"), @"Downgrade: upgrade from version 17.11 to 15.20 is not supported: PostgreSQL cannot go back to an older major version (17 → 15); restore a backup taken on 15, or stay. Allowed targets for demo/orders (17.11): 18.6");
    assert_snapshot!(refused("18.6", "17.11"), @"Downgrade: upgrade from version 18.6 to 17.11 is not supported: PostgreSQL cannot go back to an older major version (18 → 17); restore a backup taken on 17, or stay. The catalog has no allowed target for demo/orders (18.6)");
    assert_snapshot!(refused("13.16", "18.6"), @r#"Constraints: upgrade from version 13.16 to 18.6 is not supported: the constraints of 13.16 allow ">= 13.9, < 18". Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9. In two upgrades: 13.16 → 17.11 → 18.6"#);
    assert_snapshot!(refused("16.5", "18.6"), @r#"Constraints: upgrade from version 16.5 to 18.6 is not supported: the constraints of 16.5 allow "~16". The catalog has no allowed target for demo/orders (16.5)"#);
    assert_snapshot!(refused("13.16", "17.2"), @r#"UnknownTarget: upgrade from version 13.16 to 17.2 is not supported: there is no PostgresVersion "17.2"; did you mean 17.1? Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
    assert_snapshot!(refused("13.16", "latest"), @r#"UnknownTarget: upgrade from version 13.16 to latest is not supported: there is no PostgresVersion "latest". Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
    assert_snapshot!(refused("13.16", "seventeen"), @r#"UnknownTarget: upgrade from version 13.16 to seventeen is not supported: PostgresVersion "seventeen" is ignored: "17beta1" is no version: expected numbers such as "16.10"; mend its spec.version. Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
    assert_snapshot!(refused("12.4", "17.11"), @r#"UnknownSource: upgrade from version 12.4 to 17.11 is not supported: the database has PostgresVersion "12.4", which is not in the catalog, so its constraints are unknown; create that PostgresVersion, then try again"#);
    assert_snapshot!(refused("13.16", "17.11-gis"), @r#"Distribution: upgrading between different distributions is not allowed: current version "13.16" uses distribution "Official" but target version "17.11-gis" uses distribution "PostGIS": choose a target of the same distribution, or dump and restore into a new database. Allowed targets for demo/orders (13.16): 17.11, 17.1, 16.5, 15.20, 14.2, 13.9"#);
}

#[test]
fn refusals_of_another_base_system() {
    assert_snapshot!(refused("17.11", "17.11-ubi"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11" uses baseOS "debian" but target version "17.11-ubi" uses baseOS "ubi9": another version of the C library may sort text in another way, and indexes on text would miss rows; to upgrade all the same, and have them rebuilt afterwards, set the annotation pgops.dev/allow-base-os-change: "true" on the request. Allowed targets for demo/orders (17.11): 18.6"#);
    assert_snapshot!(refused("17.11", "17.11-alpine"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11" uses baseOS "debian" but target version "17.11-alpine" uses baseOS "alpine": their C libraries differ (glibc and musl), and with them the order of text, so no index on text could be trusted; dump and restore into a new database instead. Allowed targets for demo/orders (17.11): 18.6"#);
    assert_snapshot!(refused("17.11-alpine", "17.11"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11-alpine" uses baseOS "alpine" but target version "17.11" uses baseOS "debian": their C libraries differ (glibc and musl), and with them the order of text, so no index on text could be trusted; dump and restore into a new database instead. The catalog has no allowed target for demo/orders (17.11-alpine)"#);
    assert_snapshot!(refused("17.11", "17.11-own"), @r#"BaseOS: upgrading between different base OS variants is not allowed: current version "17.11" uses baseOS "debian" but target version "17.11-own" uses baseOS "ouros": pgops does not know "ouros", so it cannot tell how text is sorted there; mend spec.db.baseOS of that PostgresVersion if it is misspelt, else dump and restore into a new database. Allowed targets for demo/orders (17.11): 18.6"#);
}

#[test]
fn refusals_of_the_requests_fields() {
    assert_snapshot!(refused_with(|world| world.request.spec.update_version = None), @"MissingTarget: `spec.updateVersion` nil not supported in UpdateVersion type: name the PostgresVersion to move to in spec.updateVersion.targetVersion");
    assert_snapshot!(refused_with(|world| world.request.spec.timeout = Some("5 minutes".into())), @r#"InvalidTimeout: spec.timeout: "5 minutes" is no duration: expected numbers with units, such as "5m" or "1h30m""#);
    assert_snapshot!(refused_with(|world| world.request.spec.timeout = Some("-5m".into())), @r#"InvalidTimeout: spec.timeout: "-5m" is negative: expected a duration such as "5m""#);
    assert_snapshot!(refused_with(|world| world.request.spec.timeout = Some("10ms".into())), @r#"InvalidTimeout: spec.timeout: "10ms" is too short for any step: give at least "1s", or leave it out for no limit"#);
    assert_snapshot!(refused_with(|world| world.request.spec.max_retries = -1), @"InvalidRetries: spec.maxRetries: -1 is negative: give 0 for a single try");
    assert_snapshot!(refused_with(|world| annotate(world, ANNOTATION_TRANSFER_MODE, "teleport")), @r#"InvalidTransferMode: annotation pgops.dev/transfer-mode: "teleport" is none of copy, copy-file-range, clone and link: leave it out to let pgops choose"#);
    assert_snapshot!(refused_with(|world| annotate(world, ANNOTATION_TRANSFER_MODE, "swap")), @r#"InvalidTransferMode: annotation pgops.dev/transfer-mode: "swap" is not offered, since a kill while pg_upgrade moves the old files away would leave neither version whole: use link, or leave it out to let pgops choose"#);
    assert_snapshot!(refused_with(|world| annotate(world, ANNOTATION_KEEP_OLD_DATA, "a week")), @r#"InvalidKeepOldData: annotation pgops.dev/keep-old-data: "a week" is no duration: expected numbers with units, such as "5m" or "1h30m"; leave it out to have old data that is still whole kept for a day"#);
    assert_snapshot!(refused_with(|world| annotate(world, ANNOTATION_REINDEX, "all")), @r#"InvalidReindex: annotation pgops.dev/reindex: "all" is none of affected, report and none: leave it out to have affected indexes rebuilt"#);
    assert_snapshot!(refused_with(|world| annotate(world, ANNOTATION_ALLOW_BASE_OS_CHANGE, "yes")), @r#"InvalidBaseOSChange: annotation pgops.dev/allow-base-os-change: "yes" is neither "true" nor "false": leave it out to keep the base system"#);
    assert_snapshot!(refused_with(|world| annotate(world, ANNOTATION_DRY_RUN, "yes")), @r#"InvalidDryRun: annotation pgops.dev/dry-run: "yes" is neither "true" nor "false": "true" runs the preflight alone, leave it out to upgrade"#);
}

#[test]
fn refusals_of_the_databases_state() {
    assert_snapshot!(refused_with(|world| world.database = None), @r#"DatabaseNotFound: spec.databaseRef demo/orders, is invalid or not found: there is no Postgres "orders" in namespace "demo"; a request must be in its database's namespace (kubectl get pg -A lists all)"#);
    let leave = |database: &mut Postgres| {
        database.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    };
    assert_snapshot!(refused_with(|world| change(world, leave)), @"DatabaseDeleting: demo/orders is being deleted, so it is not upgraded any more; once it is gone, create it anew with the version that you want");
    let phase = |database: &mut Postgres| {
        database.status = Some(PostgresStatus { phase: Some(PostgresPhase::NotReady), ..Default::default() });
    };
    assert_snapshot!(refused_with(|world| change(world, phase)), @"DatabaseNotReady: demo/orders is NotReady, and a request with apply: IfReady goes on only when it is Ready: wait for that (kubectl get pg orders -n demo -w), or set spec.apply: Always");
    assert_snapshot!(refused_with(|world| change(world, |database| database.spec.halted = Some(true))), @"DatabaseHalted: demo/orders is halted: set spec.halted: false, wait until it is Ready, then apply the request again");
    let ephemeral = |database: &mut Postgres| database.spec.storage_type = Some(StorageType::Ephemeral);
    assert_snapshot!(refused_with(|world| change(world, ephemeral)), @"EphemeralStorage: demo/orders has storageType Ephemeral: its data is gone with its pod, so there is nothing to upgrade; create a database of the target version instead");
    assert_snapshot!(refused_with(|world| change(world, |database| database.spec.replicas = Some(3))), @"ReplicasUnsupported: demo/orders has 3 replicas, and pgops upgrades databases of one server only: set spec.replicas: 1 first");
    assert_snapshot!(refused_with(|world| pause(world, "by hand, Ada")), @r#"DatabasePaused: demo/orders is paused ("by hand, Ada"): wait until whoever paused it is done; if nobody is, remove the condition Paused from its status"#);
    let half_way = "paused by PostgresOpsRequest orders-15 (uid 77) for the upgrade 13.16 to 15.20";
    assert_snapshot!(refused_with(|world| pause(world, half_way)), @r#"DatabasePaused: demo/orders is paused ("paused by PostgresOpsRequest orders-15 (uid 77) for the upgrade 13.16 to 15.20"): wait until that has ended; if it has failed, it goes on once the cause is gone: kubectl annotate pgops orders-15 -n demo pgops.dev/carry-on=true; if it was deleted, see docs/runbook.md"#);
    let mut other = request("orders-15", "15.20");
    other.status = Some(PostgresOpsRequestStatus { phase: Some(Phase::Progressing), ..Default::default() });
    assert_snapshot!(refused_with(|world| world.active = vec![Arc::new(other)]), @"RequestActive: another request is active on demo/orders: PostgresOpsRequest orders-15 (Progressing, to 15.20); wait until it ends (kubectl get pgops orders-15 -n demo -w), or delete it if it has not begun");
}

#[test]
fn refusals_of_versions_that_no_program_knows() {
    let specs = ["9.6.24", "9.6", "17.0-rc1", "16.5"]
        .map(|version| (version, PostgresVersionSpec { version: version.into(), ..Default::default() }));
    let refused = |from: &str, to: &str| {
        let mut world = world(from, to);
        world.catalog = Catalog::new(specs.iter().map(|(name, spec)| (*name, spec)));
        refusal(&world)
    };
    assert_snapshot!(refused("9.6.24", "16.5"), @r#"UnsupportedVersion: PostgresVersion 9.6.24 cannot be upgraded from or to: "9.6.24" is older than PostgreSQL 10; pgops upgrades between releases of PostgreSQL since 10: mend its spec.version if it is wrong"#);
    assert_snapshot!(refused("9.6", "16.5"), @r#"UnsupportedVersion: PostgresVersion 9.6 cannot be upgraded from or to: "9.6" is older than PostgreSQL 10; pgops upgrades between releases of PostgreSQL since 10: mend its spec.version if it is wrong"#);
    assert_snapshot!(refused("16.5", "17.0-rc1"), @r#"UnsupportedVersion: PostgresVersion 17.0-rc1 cannot be upgraded from or to: "17.0-rc1" is no PostgreSQL version: expected MAJOR.MINOR, such as "16.10"; pgops upgrades between releases of PostgreSQL since 10: mend its spec.version if it is wrong"#);
}

#[test]
fn warnings_of_what_is_admitted() {
    assert_snapshot!(warnings(&world("13.16", "17.11")), @"
    major upgrade 13.16 → 17.11 of demo/orders; it skips 14, 15 and 16: read the release notes of each
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to postgres:17.11: where its C library or ICU sorts text in another way, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&world("13.16", "15.20")), @"
    major upgrade 13.16 → 15.20 of demo/orders; it skips 14: read the release notes of 14 and 15
    15.20 is deprecated: choose a newer version if you can
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to postgres:15.20: where its C library or ICU sorts text in another way, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&world("17.11", "18.6")), @"
    major upgrade 17.11 → 18.6 of demo/orders: read the release notes of 18
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to postgres:18.6: where its C library or ICU sorts text in another way, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&world("13.16", "13.9")), @"
    minor upgrade 13.16 → 13.9 of demo/orders: the data stays as it is, the server restarts
    13.9 is an older minor release than 13.16: it lacks the fixes made in between, security fixes among them
    13.9 is at its end of life: PostgreSQL no longer mends this major version
    demo/orders has no standby: reads and writes stop while the server restarts
    the image changes to postgres:13.9: where its C library or ICU sorts text in another way, indexes on text are rebuilt afterwards
    ");
    assert_snapshot!(warnings(&world("13.16", "13.16")), @"
    demo/orders has 13.16 already: its image is rolled out anew, and the server restarts
    demo/orders has no standby: reads and writes stop while the server restarts
    ");
}

#[test]
fn warnings_of_releases_to_skip() {
    let line = |from: &str, to: &str| warnings(&world(from, to)).lines().nth(1).unwrap().to_owned();
    assert_snapshot!(line("13.16", "17.1"), @"17.1 is a release to skip: extensions such as timescaledb may crash, and ALTER ROLE ... SET role is ignored; take 17.2 or later (https://www.postgresql.org/docs/release/17.2/)");
    assert_snapshot!(line("13.16", "14.2"), @"14.2 is a release to skip: CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY may leave rows out of the index; take 14.4 or later (https://www.postgresql.org/docs/release/14.4/)");
}

#[test]
fn warnings_of_another_base_system() {
    let mut world = world("17.11", "17.11-ubi");
    annotate(&mut world, ANNOTATION_ALLOW_BASE_OS_CHANGE, "true");
    assert_snapshot!(warnings(&world), @"
    minor upgrade 17.11 → 17.11-ubi of demo/orders: the data stays as it is, the server restarts
    demo/orders has no standby: reads and writes stop while the server restarts
    the base system changes from debian to ubi9, and with it the order of text may: where it does, indexes on text are rebuilt afterwards
    ");
}

#[test]
fn warnings_of_a_database_that_is_not_ready() {
    let mut world = world("17.11", "17.11");
    world.request.spec.apply = Apply::Always;
    change(&mut world, |database| {
        database.status = Some(PostgresStatus { phase: Some(PostgresPhase::NotReady), ..Default::default() });
    });
    assert_snapshot!(warnings(&world), @"
    demo/orders has 17.11 already: its image is rolled out anew, and the server restarts
    demo/orders has no standby: reads and writes stop while the server restarts
    demo/orders is NotReady, and the request goes on all the same (apply: Always): the preflight may find no server to ask
    ");
}

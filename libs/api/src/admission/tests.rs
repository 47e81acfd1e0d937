use super::*;
use crate::matrix;
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_DRY_RUN, ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX,
    ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::{
    DatabaseRef, PostgresOpsRequestSpec, PostgresOpsRequestStatus, RequestType, UpdateVersion,
};
use crate::postgres::{PostgresSpec, PostgresStatus};
use crate::postgresversion::{DatabaseImage, PostgresVersionSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use rstest::rstest;

pub(super) struct World {
    pub request: PostgresOpsRequest,
    pub database: Option<Postgres>,
    pub catalog: Catalog,
    pub active: Vec<Arc<PostgresOpsRequest>>,
}

impl World {
    /// demo/orders, Ready on 13.16, shall move to 17.11.
    pub fn new() -> Self {
        let names = ["9.6.24", "13.9", "13.16", "14.2", "17.11", "18.6"];
        let specs = names.map(|name| PostgresVersionSpec {
            version: name.to_owned(),
            db: DatabaseImage { image: format!("postgres:{name}"), base_os: None },
            end_of_life: name == "14.2",
            ..PostgresVersionSpec::default()
        });
        Self {
            request: request("orders-17", "17.11"),
            database: Some(database("13.16")),
            catalog: Catalog::new(names.into_iter().zip(&specs)),
            active: Vec::new(),
        }
    }

    pub fn decide(&self) -> Result<Admitted, Denial> {
        let Self { request, database, catalog, active } = self;
        decide(&Facts { request, database: database.as_ref(), catalog, active })
    }

    fn denial(&self) -> (DenialReason, String) {
        let denial = self.decide().unwrap_err();
        (denial.reason, denial.message)
    }
}

pub(super) fn request(name: &str, target: &str) -> PostgresOpsRequest {
    let mut request = PostgresOpsRequest::new(
        name,
        PostgresOpsRequestSpec {
            database_ref: DatabaseRef { name: "orders".into() },
            type_: RequestType::UpdateVersion,
            update_version: Some(UpdateVersion { target_version: target.into() }),
            upgrade: None,
            timeout: None,
            apply: Apply::IfReady,
            max_retries: 1,
        },
    );
    request.metadata.namespace = Some("demo".into());
    request.metadata.uid = Some(format!("uid-of-{name}"));
    request
}

pub(super) fn database(version: &str) -> Postgres {
    let mut database =
        Postgres::new("orders", PostgresSpec { version: version.into(), ..PostgresSpec::default() });
    database.status = Some(PostgresStatus { phase: Some(PostgresPhase::Ready), ..PostgresStatus::default() });
    database
}

pub(super) fn change(world: &mut World, change: impl FnOnce(&mut Postgres)) {
    change(world.database.as_mut().unwrap());
}

pub(super) fn pause(world: &mut World, message: &str) {
    let paused = crate::Condition::new("Paused", "True", "Upgrade", message, Time(Timestamp::UNIX_EPOCH));
    change(world, |database| {
        database.status = Some(PostgresStatus {
            phase: Some(PostgresPhase::NotReady),
            conditions: vec![paused],
            ..PostgresStatus::default()
        });
    });
}

#[test]
fn admits_an_upgrade_and_says_what_it_comes_to() {
    let mut world = World::new();
    world.request.spec.timeout = Some("1h30m".into());
    world.request.spec.max_retries = 0;
    world.request.metadata.annotations =
        Some([(ANNOTATION_TRANSFER_MODE.to_owned(), "copy".to_owned())].into());
    let upgrade = world.decide().unwrap().upgrade.unwrap();
    assert_eq!(upgrade.from.name, "13.16");
    assert_eq!(upgrade.to.image, "postgres:17.11");
    assert_eq!(upgrade.kind, UpgradeKind::Major);
    assert_eq!(upgrade.timeout, Some(Duration::from_mins(90)));
    assert_eq!(upgrade.max_retries, 0);
    assert_eq!(upgrade.transfer_mode, Some(TransferMode::Copy));
    assert_eq!(upgrade.reindex, Reindex::Affected);
}

#[rstest]
#[case(
    "17.11",
    "major upgrade 13.16 → 17.11 of demo/orders; it skips 14, 15 and 16: read the release notes of each"
)]
#[case("14.2", "major upgrade 13.16 → 14.2 of demo/orders: read the release notes of 14")]
#[case("14.2", "14.2 is at its end of life: PostgreSQL no longer mends this major version")]
#[case("13.9", "minor upgrade 13.16 → 13.9 of demo/orders: the data stays as it is, the server restarts")]
#[case(
    "13.9",
    "13.9 is an older minor release than 13.16: it lacks the fixes made in between, security fixes among them"
)]
#[case("13.16", "demo/orders has 13.16 already: its image is rolled out anew, and the server restarts")]
#[case("17.11", "demo/orders has no standby: reads and writes stop while pg_upgrade runs")]
#[case("13.9", "demo/orders has no standby: reads and writes stop while the server restarts")]
#[case(
    "17.11",
    "the image changes to postgres:17.11: where its C library or ICU sorts text in another way, indexes on text are rebuilt afterwards"
)]
fn warns_of_what_matters(#[case] target: &str, #[case] warning: &str) {
    let mut world = World::new();
    world.request = request("orders-x", target);
    let warnings = world.decide().unwrap().warnings;
    assert!(warnings.iter().any(|line| line == warning), "{warnings:#?}");
    assert!(warnings[0].contains("demo/orders"), "the headline comes first: {warnings:#?}");
}

#[test]
fn warns_of_one_skipped_version_and_cuts_what_is_too_long() {
    let mut world = World::new();
    world.database = Some(database("17.11"));
    world.request = request("orders-18", "18.6");
    let name = "o".repeat(250);
    world.request.spec.database_ref.name = name;
    let warnings = world.decide().unwrap().warnings;
    assert!(warnings.iter().all(|line| line.chars().count() <= MAX_WARNING));
    assert!(warnings[0].ends_with('…'), "{warnings:#?}");

    let catalog = World::new().catalog;
    let one = warnings::upgrade_warnings(
        &matrix::Allowed { from: catalog.get("13.16").unwrap(), to: catalog.get("17.11").unwrap() },
        Scope::Upgrade,
        &database("13.16"),
        &NamespacedName { namespace: "demo", name: "orders" },
        Reindex::default(),
    );
    assert!(one[0].contains("it skips 14, 15 and 16"), "{one:?}");
}

#[test]
fn lets_other_operations_pass_and_says_that_it_does_nothing() {
    let mut world = World::new();
    world.request.spec.type_ = RequestType::Restart;
    world.request.spec.update_version = None;
    world.database = None;
    let admitted = world.decide().unwrap();
    assert_eq!(admitted.upgrade, None);
    assert_eq!(
        admitted.warnings,
        ["pgops executes requests of type UpdateVersion; it does nothing with this one of type Restart"]
    );
}

#[test]
fn refuses_a_request_without_a_target_in_kubedbs_words() {
    let mut world = World::new();
    world.request.spec.update_version = None;
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::MissingTarget);
    assert!(message.starts_with("`spec.updateVersion` nil not supported in UpdateVersion type"), "{message}");
    world.request.spec.update_version = Some(UpdateVersion::default());
    assert_eq!(world.denial().0, DenialReason::MissingTarget);
}

#[rstest]
#[case("5", "\"5\" is no duration")]
#[case("-5m", "\"-5m\" is negative")]
#[case("10ms", "\"10ms\" is too short for any step")]
#[case("0", "\"0\" is too short for any step")]
fn refuses_a_bad_timeout_and_names_it(#[case] timeout: &str, #[case] text: &str) {
    let mut world = World::new();
    world.request.spec.timeout = Some(timeout.into());
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::InvalidTimeout);
    assert!(message.contains(text) && message.contains("spec.timeout"), "{message}");
}

#[test]
fn refuses_negative_retries_and_an_unknown_transfer_mode() {
    let mut world = World::new();
    world.request.spec.max_retries = -1;
    assert_eq!(
        world.denial(),
        (DenialReason::InvalidRetries, "spec.maxRetries: -1 is negative: give 0 for a single try".into())
    );
    world.request.spec.max_retries = 0;
    world.request.metadata.annotations =
        Some([(ANNOTATION_TRANSFER_MODE.to_owned(), "move".to_owned())].into());
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::InvalidTransferMode);
    assert!(message.contains("\"move\" is none of copy, copy-file-range, clone and link"), "{message}");
}

#[test]
fn a_transfer_mode_that_the_target_does_not_have_yet_is_refused() {
    let mut world = World::new();
    let annotations = [(ANNOTATION_TRANSFER_MODE.to_owned(), "copy-file-range".to_owned())];
    world.request.metadata.annotations = Some(annotations.into());
    assert_eq!(world.decide().unwrap().upgrade.unwrap().transfer_mode, Some(TransferMode::CopyFileRange));
    world.request.spec.update_version.as_mut().unwrap().target_version = "14.2".into();
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::InvalidTransferMode);
    assert!(message.contains("needs a target of PostgreSQL 17 or newer, and 14.2 is older"), "{message}");
}

#[test]
fn old_data_is_kept_for_as_long_as_the_user_says() {
    let mut world = World::new();
    assert_eq!(world.decide().unwrap().upgrade.unwrap().keep_old_data, None);
    for (text, expected) in [("0", Duration::ZERO), ("72h", Duration::from_hours(72))] {
        let annotations = [(ANNOTATION_KEEP_OLD_DATA.to_owned(), text.to_owned())];
        world.request.metadata.annotations = Some(annotations.into());
        assert_eq!(world.decide().unwrap().upgrade.unwrap().keep_old_data, Some(expected));
    }
}

#[test]
fn takes_the_words_of_reindex_and_no_other_and_warns_of_what_follows() {
    let mut world = World::new();
    let mut answer = |text: &str| {
        world.request.metadata.annotations = Some([(ANNOTATION_REINDEX.to_owned(), text.to_owned())].into());
        world.decide().map_err(|denial| (denial.reason, denial.field))
    };
    for (text, expected, warning) in [
        ("affected", Reindex::Affected, "are rebuilt afterwards"),
        ("report", Reindex::Report, "are named afterwards, not rebuilt"),
        ("none", Reindex::Off, "need REINDEX"),
    ] {
        let admitted = answer(text).unwrap();
        assert_eq!(admitted.upgrade.unwrap().reindex, expected);
        assert!(admitted.warnings.iter().any(|line| line.contains(warning)), "{:?}", admitted.warnings);
    }
    let refused = (DenialReason::InvalidReindex, "metadata.annotations[pgops.dev/reindex]");
    assert_eq!(answer("all").unwrap_err(), refused);
    assert_eq!(answer("").unwrap_err(), refused);
}

#[test]
fn a_dry_run_is_said_before_what_the_upgrade_would_bring() {
    let mut world = World::new();
    let whole = world.decide().unwrap();
    assert_eq!(whole.upgrade.unwrap().scope, Scope::Upgrade);
    world.request.metadata.annotations = Some([(ANNOTATION_DRY_RUN.to_owned(), "true".to_owned())].into());
    let dry = world.decide().unwrap();
    assert_eq!(dry.upgrade.unwrap().scope, Scope::DryRun);
    assert!(dry.warnings[0].starts_with("dry run: ") && dry.warnings[0].contains("nothing is changed"));
    assert_eq!(dry.warnings[1..], whole.warnings);
}

#[test]
fn takes_no_other_word_for_a_dry_run_than_true_and_false() {
    let mut world = World::new();
    let mut answer = |text: &str| {
        world.request.metadata.annotations = Some([(ANNOTATION_DRY_RUN.to_owned(), text.to_owned())].into());
        world.decide().map(|admitted| admitted.upgrade.unwrap().scope).map_err(|it| (it.reason, it.field))
    };
    assert_eq!(answer("false"), Ok(Scope::Upgrade));
    for text in ["", "yes", "True", "server"] {
        let field = "metadata.annotations[pgops.dev/dry-run]";
        assert_eq!(answer(text), Err((DenialReason::InvalidDryRun, field)), "{text}");
    }
    assert!(DenialReason::InvalidDryRun.is_field_error());
}

#[test]
fn takes_no_other_word_for_the_base_system_than_true_and_false() {
    let mut world = World::new();
    let mut answer = |text: &str| {
        world.request.metadata.annotations =
            Some([(ANNOTATION_ALLOW_BASE_OS_CHANGE.to_owned(), text.to_owned())].into());
        world.decide().map(|_| ()).map_err(|denial| (denial.reason, denial.field))
    };
    assert_eq!(answer("true"), Ok(()));
    assert_eq!(answer("false"), Ok(()));
    let field = "metadata.annotations[pgops.dev/allow-base-os-change]";
    for text in ["True", "yes", ""] {
        assert_eq!(answer(text), Err((DenialReason::InvalidBaseOsChange, field)), "{text}");
    }
    assert!(DenialReason::InvalidBaseOsChange.is_field_error());
}

#[test]
fn refuses_an_unknown_database_in_kubedbs_words() {
    let mut world = World::new();
    world.database = None;
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::DatabaseNotFound);
    assert!(message.starts_with("spec.databaseRef demo/orders, is invalid or not found"), "{message}");
}

#[test]
fn refuses_a_database_that_is_being_deleted() {
    let mut world = World::new();
    change(&mut world, |database| {
        database.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    });
    assert_eq!(world.denial().0, DenialReason::DatabaseDeleting);
}

#[test]
fn names_the_request_at_work_and_its_phase() {
    let mut world = World::new();
    let waiting = request("orders-16", "16.4");
    let mut working = request("orders-14", "14.2");
    working.status = Some(PostgresOpsRequestStatus { phase: Some(Phase::Progressing), ..Default::default() });
    world.active = vec![Arc::new(waiting), Arc::new(working)];
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::RequestActive);
    assert!(message.contains("PostgresOpsRequest orders-14 (Progressing, to 14.2)"), "{message}");
    world.active.pop();
    assert!(world.denial().1.contains("PostgresOpsRequest orders-16 (Pending, to 16.4)"));
}

#[test]
fn refuses_what_the_matrix_refuses_before_it_looks_at_the_databases_state() {
    let mut world = World::new();
    world.database = Some(database("18.6"));
    change(&mut world, |database| database.status = None);
    let denial = world.decide().unwrap_err();
    assert_eq!(denial.reason, DenialReason::Matrix(matrix::Reason::Downgrade));
    assert_eq!(denial.field, "spec.updateVersion.targetVersion");
    assert!(denial.message.contains("upgrade from version 18.6 to 17.11 is not supported"), "{denial}");
    world.request.spec.apply = Apply::Always;
    assert_eq!(world.denial().0, DenialReason::Matrix(matrix::Reason::Downgrade));
}

#[test]
fn refuses_versions_that_no_program_of_ours_knows() {
    let mut world = World::new();
    world.database = Some(database("9.6.24"));
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::UnsupportedVersion);
    assert!(message.contains("PostgresVersion 9.6.24"), "{message}");
    // Two majors of old that look like two minors of one.
    let spec =
        |version: &str| PostgresVersionSpec { version: version.into(), ..PostgresVersionSpec::default() };
    world.catalog = Catalog::new([("9.5", &spec("9.5")), ("9.6", &spec("9.6"))]);
    world.database = Some(database("9.5"));
    world.request = request("orders-9", "9.6");
    assert_eq!(world.denial().0, DenialReason::UnsupportedVersion);
}

#[rstest]
#[case(|database: &mut Postgres| database.spec.storage_type = Some(StorageType::Ephemeral), DenialReason::EphemeralStorage)]
#[case(|database: &mut Postgres| database.spec.replicas = Some(3), DenialReason::ReplicasUnsupported)]
#[case(|database: &mut Postgres| database.spec.halted = Some(true), DenialReason::DatabaseHalted)]
fn refuses_a_database_that_cannot_be_upgraded_even_with_apply_always(
    #[case] spoil: fn(&mut Postgres),
    #[case] reason: DenialReason,
) {
    let mut world = World::new();
    world.request.spec.apply = Apply::Always;
    change(&mut world, spoil);
    let (found, message) = world.denial();
    assert_eq!(found, reason);
    assert!(message.starts_with("demo/orders "), "{message}");
}

#[test]
fn goes_on_without_a_ready_database_only_when_asked_to() {
    let mut world = World::new();
    change(&mut world, |database| {
        database.status = Some(PostgresStatus { phase: Some(PostgresPhase::NotReady), ..Default::default() });
    });
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::DatabaseNotReady);
    assert!(message.starts_with("demo/orders is NotReady, "), "{message}");
    world.request.spec.apply = Apply::Always;
    let warnings = world.decide().unwrap().warnings;
    assert!(warnings.iter().any(|line| line.starts_with("demo/orders is NotReady")), "{warnings:#?}");
}

#[test]
fn goes_on_with_a_database_that_it_paused_itself_and_with_no_other() {
    let mut world = World::new();
    world.request.spec.apply = Apply::Always;
    pause(&mut world, "paused by a person for the night");
    let (reason, message) = world.denial();
    assert_eq!(reason, DenialReason::DatabasePaused);
    assert!(message.contains("\"paused by a person for the night\""), "{message}");
    world.request.metadata.uid = None;
    assert_eq!(world.denial().0, DenialReason::DatabasePaused);

    world.request = request("orders-17", "17.11");
    pause(&mut world, "paused by PostgresOpsRequest orders-16 (uid uid-of-orders-16) for the upgrade");
    assert_eq!(world.denial().0, DenialReason::DatabasePaused);
    pause(&mut world, "paused by PostgresOpsRequest orders-17 (uid uid-of-orders-17) for the upgrade");
    assert!(world.decide().is_ok());
}

#[test]
fn tells_apart_what_may_pass_from_what_never_will() {
    assert!(DenialReason::RequestActive.is_transient());
    assert!(!DenialReason::Matrix(matrix::Reason::Downgrade).is_transient());
    assert!(DenialReason::InvalidTimeout.is_field_error());
    assert!(!DenialReason::DatabaseNotFound.is_field_error());
    assert_eq!(DenialReason::Matrix(matrix::Reason::BaseOs).as_str(), "BaseOS");
}

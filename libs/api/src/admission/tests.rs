use std::sync::Arc;
use std::time::Duration;

use super::warnings::upgrade_warnings;
use super::*;
use crate::matrix::{self, Catalog};
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_DRY_RUN, ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX,
    ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::{
    Apply, DatabaseRef, Phase, PostgresOpsRequestSpec, PostgresOpsRequestStatus, RequestType, UpdateVersion,
};
use crate::plan::{Reindex, Scope, TransferMode, UpgradeKind};
use crate::postgres::{PostgresPhase, PostgresSpec, PostgresStatus, StorageType};
use crate::postgresversion::{DatabaseImage, PostgresVersionSpec};
use crate::topology::StandbySupport;
use crate::{Postgres, PostgresOpsRequest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use rstest::rstest;

pub(super) struct Scenario {
    pub request: PostgresOpsRequest,
    pub database: Option<Postgres>,
    pub catalog: Catalog,
    pub active: Vec<Arc<PostgresOpsRequest>>,
    pub standbys: StandbySupport,
}

impl Scenario {
    /// demo/orders is Ready on 13.16; a request upgrades it to 17.11.
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
            standbys: StandbySupport::Disabled,
        }
    }

    pub fn decide(&self) -> Result<Admitted, Denial> {
        let Self { request, database, catalog, active, standbys } = self;
        decide(&Facts { request, database: database.as_ref(), catalog, active, standbys: *standbys })
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
            vertical_scaling: None,
            volume_expansion: None,
            configuration: None,
            authentication: None,
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

pub(super) fn change(scenario: &mut Scenario, change: impl FnOnce(&mut Postgres)) {
    change(scenario.database.as_mut().unwrap());
}

pub(super) fn pause(scenario: &mut Scenario, message: &str) {
    let paused = crate::Condition::new("Paused", "True", "Upgrade", message, Time(Timestamp::UNIX_EPOCH));
    change(scenario, |database| {
        database.status = Some(PostgresStatus {
            phase: Some(PostgresPhase::NotReady),
            conditions: vec![paused],
            ..PostgresStatus::default()
        });
    });
}

#[test]
fn request_is_admitted_with_parsed_options() {
    let mut scenario = Scenario::new();
    scenario.request.spec.timeout = Some("1h30m".into());
    scenario.request.spec.max_retries = 0;
    scenario.request.metadata.annotations =
        Some([(ANNOTATION_TRANSFER_MODE.to_owned(), "copy".to_owned())].into());
    let upgrade = scenario.decide().unwrap().upgrade.unwrap();
    assert_eq!(upgrade.from.name, "13.16");
    assert_eq!(upgrade.to.image, "postgres:17.11");
    assert_eq!(upgrade.kind, UpgradeKind::Major);
    assert_eq!(upgrade.options.timeout, Some(Duration::from_mins(90)));
    assert_eq!(upgrade.options.max_retries, 0);
    assert_eq!(upgrade.options.transfer_mode, Some(TransferMode::Copy));
    assert_eq!(upgrade.options.reindex, Reindex::Affected);
}

#[rstest]
#[case(
    "17.11",
    "major upgrade 13.16 → 17.11 of demo/orders; it skips 14, 15 and 16: read the release notes of each"
)]
#[case("14.2", "major upgrade 13.16 → 14.2 of demo/orders: read the release notes of 14")]
#[case("14.2", "14.2 is end of life: the PostgreSQL project no longer releases fixes for this major version")]
#[case("13.9", "minor upgrade 13.16 → 13.9 of demo/orders: the data is unchanged, the server restarts")]
#[case(
    "13.9",
    "13.9 is an older minor release than 13.16: it lacks the fixes in between, including security fixes"
)]
#[case(
    "13.16",
    "demo/orders already runs 13.16: the server restarts only if the catalog now has another image for it"
)]
#[case("17.11", "demo/orders has no standby: reads and writes stop while pg_upgrade runs")]
#[case("13.9", "demo/orders has no standby: reads and writes stop while the server restarts")]
#[case(
    "17.11",
    "the image changes to postgres:17.11: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards"
)]
fn admitted_request_warns(#[case] target: &str, #[case] warning: &str) {
    let mut scenario = Scenario::new();
    scenario.request = request("orders-x", target);
    let warnings = scenario.decide().unwrap().warnings;
    assert!(warnings.iter().any(|line| line == warning), "{warnings:#?}");
    assert!(warnings[0].contains("demo/orders"), "the headline comes first: {warnings:#?}");
}

#[test]
fn warnings_are_truncated() {
    let mut scenario = Scenario::new();
    scenario.database = Some(database("17.11"));
    scenario.request = request("orders-18", "18.6");
    let name = "o".repeat(250);
    scenario.request.spec.database_ref.name = name;
    let warnings = scenario.decide().unwrap().warnings;
    assert!(warnings.iter().all(|line| line.chars().count() <= MAX_WARNING));
    assert!(warnings[0].ends_with('…'), "{warnings:#?}");

    let catalog = Scenario::new().catalog;
    let one = upgrade_warnings(
        &matrix::Allowed { from: catalog.get("13.16").unwrap(), to: catalog.get("17.11").unwrap() },
        Scope::Upgrade,
        &database("13.16"),
        &NamespacedName { namespace: "demo", name: "orders" },
        Reindex::default(),
    );
    assert!(one[0].contains("it skips 14, 15 and 16"), "{one:?}");
}

#[test]
fn other_request_types_are_admitted_with_a_warning() {
    let mut scenario = Scenario::new();
    scenario.request.spec.type_ = RequestType::HorizontalScaling;
    scenario.request.spec.update_version = None;
    scenario.database = None;
    let admitted = scenario.decide().unwrap();
    assert_eq!(admitted.upgrade, None);
    assert_eq!(
        admitted.warnings,
        [
            "pgops executes requests of type UpdateVersion, Restart, VerticalScaling, VolumeExpansion, Reconfigure and \
             RotateAuth; it ignores this one of type HorizontalScaling"
        ]
    );
}

#[test]
fn missing_target_is_denied_with_kubedbs_wording() {
    let mut scenario = Scenario::new();
    scenario.request.spec.update_version = None;
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::MissingTarget);
    assert!(message.starts_with("`spec.updateVersion` nil not supported in UpdateVersion type"), "{message}");
    scenario.request.spec.update_version = Some(UpdateVersion::default());
    assert_eq!(scenario.denial().0, DenialReason::MissingTarget);
}

#[rstest]
#[case("5", "\"5\" is not a duration")]
#[case("-5m", "\"-5m\" is negative")]
#[case("10ms", "\"10ms\" is too short for any step")]
#[case("0", "\"0\" is too short for any step")]
fn invalid_timeout_is_denied_and_quoted(#[case] timeout: &str, #[case] text: &str) {
    let mut scenario = Scenario::new();
    scenario.request.spec.timeout = Some(timeout.into());
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::InvalidTimeout);
    assert!(message.contains(text) && message.contains("spec.timeout"), "{message}");
}

#[test]
fn negative_retries_and_unknown_transfer_mode_are_denied() {
    let mut scenario = Scenario::new();
    scenario.request.spec.max_retries = -1;
    assert_eq!(
        scenario.denial(),
        (DenialReason::InvalidRetries, "spec.maxRetries: -1 is negative: set 0 for a single attempt".into())
    );
    scenario.request.spec.max_retries = 0;
    scenario.request.metadata.annotations =
        Some([(ANNOTATION_TRANSFER_MODE.to_owned(), "move".to_owned())].into());
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::InvalidTransferMode);
    assert!(message.contains("\"move\" is not one of copy, copy-file-range, clone and link"), "{message}");
}

#[test]
fn transfer_mode_unknown_to_the_target_is_denied() {
    let mut scenario = Scenario::new();
    let annotations = [(ANNOTATION_TRANSFER_MODE.to_owned(), "copy-file-range".to_owned())];
    scenario.request.metadata.annotations = Some(annotations.into());
    assert_eq!(
        scenario.decide().unwrap().upgrade.unwrap().options.transfer_mode,
        Some(TransferMode::CopyFileRange)
    );
    scenario.request.spec.update_version.as_mut().unwrap().target_version = "14.2".into();
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::InvalidTransferMode);
    assert!(message.contains("requires a target of PostgreSQL 17 or newer, and 14.2 is older"), "{message}");
}

#[test]
fn keep_old_data_is_parsed() {
    let mut scenario = Scenario::new();
    assert_eq!(scenario.decide().unwrap().upgrade.unwrap().options.keep_old_data, None);
    for (text, expected) in [("0", Duration::ZERO), ("72h", Duration::from_hours(72))] {
        let annotations = [(ANNOTATION_KEEP_OLD_DATA.to_owned(), text.to_owned())];
        scenario.request.metadata.annotations = Some(annotations.into());
        assert_eq!(scenario.decide().unwrap().upgrade.unwrap().options.keep_old_data, Some(expected));
    }
}

#[test]
fn reindex_values_are_parsed_and_warned_about() {
    let mut scenario = Scenario::new();
    let mut decision = |text: &str| {
        scenario.request.metadata.annotations =
            Some([(ANNOTATION_REINDEX.to_owned(), text.to_owned())].into());
        scenario.decide().map_err(|denial| (denial.reason, denial.field))
    };
    for (text, expected, warning) in [
        ("affected", Reindex::Affected, "are rebuilt afterwards"),
        ("report", Reindex::Report, "are listed afterwards, not rebuilt"),
        ("none", Reindex::Off, "need REINDEX"),
    ] {
        let admitted = decision(text).unwrap();
        assert_eq!(admitted.upgrade.unwrap().options.reindex, expected);
        assert!(admitted.warnings.iter().any(|line| line.contains(warning)), "{:?}", admitted.warnings);
    }
    let denied = (DenialReason::InvalidReindex, "metadata.annotations[pgops.dev/reindex]");
    assert_eq!(decision("all").unwrap_err(), denied);
    assert_eq!(decision("").unwrap_err(), denied);
}

#[test]
fn dry_run_warning_precedes_those_of_the_upgrade() {
    let mut scenario = Scenario::new();
    let full = scenario.decide().unwrap();
    assert_eq!(full.upgrade.unwrap().options.scope, Scope::Upgrade);
    scenario.request.metadata.annotations = Some([(ANNOTATION_DRY_RUN.to_owned(), "true".to_owned())].into());
    let dry = scenario.decide().unwrap();
    assert_eq!(dry.upgrade.unwrap().options.scope, Scope::DryRun);
    assert!(dry.warnings[0].starts_with("dry run: ") && dry.warnings[0].contains("nothing is changed"));
    assert_eq!(dry.warnings[1..], full.warnings);
}

#[test]
fn dry_run_takes_only_true_and_false() {
    let mut scenario = Scenario::new();
    let mut decision = |text: &str| {
        scenario.request.metadata.annotations =
            Some([(ANNOTATION_DRY_RUN.to_owned(), text.to_owned())].into());
        scenario
            .decide()
            .map(|admitted| admitted.upgrade.unwrap().options.scope)
            .map_err(|it| (it.reason, it.field))
    };
    assert_eq!(decision("false"), Ok(Scope::Upgrade));
    for text in ["", "yes", "True", "server"] {
        let field = "metadata.annotations[pgops.dev/dry-run]";
        assert_eq!(decision(text), Err((DenialReason::InvalidDryRun, field)), "{text}");
    }
    assert!(DenialReason::InvalidDryRun.is_field_error());
}

#[test]
fn base_os_change_takes_only_true_and_false() {
    let mut scenario = Scenario::new();
    let mut decision = |text: &str| {
        scenario.request.metadata.annotations =
            Some([(ANNOTATION_ALLOW_BASE_OS_CHANGE.to_owned(), text.to_owned())].into());
        scenario.decide().map(|_| ()).map_err(|denial| (denial.reason, denial.field))
    };
    assert_eq!(decision("true"), Ok(()));
    assert_eq!(decision("false"), Ok(()));
    let field = "metadata.annotations[pgops.dev/allow-base-os-change]";
    for text in ["True", "yes", ""] {
        assert_eq!(decision(text), Err((DenialReason::InvalidBaseOsChange, field)), "{text}");
    }
    assert!(DenialReason::InvalidBaseOsChange.is_field_error());
}

#[test]
fn unknown_database_is_denied_with_kubedbs_wording() {
    let mut scenario = Scenario::new();
    scenario.database = None;
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::DatabaseNotFound);
    assert!(message.starts_with("spec.databaseRef demo/orders, is invalid or not found"), "{message}");
}

#[test]
fn deleted_database_is_denied() {
    let mut scenario = Scenario::new();
    change(&mut scenario, |database| {
        database.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    });
    assert_eq!(scenario.denial().0, DenialReason::DatabaseDeleting);
}

#[test]
fn active_request_is_named_with_its_phase() {
    let mut scenario = Scenario::new();
    let waiting = request("orders-16", "16.4");
    let mut working = request("orders-14", "14.2");
    working.status = Some(PostgresOpsRequestStatus { phase: Some(Phase::Progressing), ..Default::default() });
    scenario.active = vec![Arc::new(waiting), Arc::new(working)];
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::RequestActive);
    assert!(message.contains("PostgresOpsRequest orders-14 (Progressing, to 14.2)"), "{message}");
    scenario.active.pop();
    assert!(scenario.denial().1.contains("PostgresOpsRequest orders-16 (Pending, to 16.4)"));
}

#[test]
fn matrix_is_evaluated_before_the_databases_state() {
    let mut scenario = Scenario::new();
    scenario.database = Some(database("18.6"));
    change(&mut scenario, |database| database.status = None);
    let denial = scenario.decide().unwrap_err();
    assert_eq!(denial.reason, DenialReason::Matrix(matrix::Reason::Downgrade));
    assert_eq!(denial.field, "spec.updateVersion.targetVersion");
    assert!(denial.message.contains("upgrade from version 18.6 to 17.11 is not supported"), "{denial}");
    scenario.request.spec.apply = Apply::Always;
    assert_eq!(scenario.denial().0, DenialReason::Matrix(matrix::Reason::Downgrade));
}

#[test]
fn unsupported_release_is_denied() {
    let mut scenario = Scenario::new();
    scenario.database = Some(database("9.6.24"));
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::UnsupportedVersion);
    assert!(message.contains("PostgresVersion 9.6.24"), "{message}");
    // Two old major versions that look like two minor versions of one.
    let spec =
        |version: &str| PostgresVersionSpec { version: version.into(), ..PostgresVersionSpec::default() };
    scenario.catalog = Catalog::new([("9.5", &spec("9.5")), ("9.6", &spec("9.6"))]);
    scenario.database = Some(database("9.5"));
    scenario.request = request("orders-9", "9.6");
    assert_eq!(scenario.denial().0, DenialReason::UnsupportedVersion);
}

#[rstest]
#[case(|database: &mut Postgres| database.spec.storage_type = Some(StorageType::Ephemeral), DenialReason::EphemeralStorage)]
#[case(|database: &mut Postgres| database.spec.replicas = Some(3), DenialReason::ReplicasUnsupported)]
#[case(|database: &mut Postgres| database.spec.halted = Some(true), DenialReason::DatabaseHalted)]
fn unsuitable_database_is_denied_even_with_apply_always(
    #[case] spoil: fn(&mut Postgres),
    #[case] reason: DenialReason,
) {
    let mut scenario = Scenario::new();
    scenario.request.spec.apply = Apply::Always;
    change(&mut scenario, spoil);
    let (found, message) = scenario.denial();
    assert_eq!(found, reason);
    assert!(message.starts_with("demo/orders "), "{message}");
}

#[test]
fn database_that_is_not_ready_needs_apply_always() {
    let mut scenario = Scenario::new();
    change(&mut scenario, |database| {
        database.status = Some(PostgresStatus { phase: Some(PostgresPhase::NotReady), ..Default::default() });
    });
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::DatabaseNotReady);
    assert!(message.starts_with("demo/orders is NotReady, "), "{message}");
    scenario.request.spec.apply = Apply::Always;
    let warnings = scenario.decide().unwrap().warnings;
    assert!(warnings.iter().any(|line| line.starts_with("demo/orders is NotReady")), "{warnings:#?}");
}

#[test]
fn paused_database_is_admitted_only_for_its_own_request() {
    let mut scenario = Scenario::new();
    scenario.request.spec.apply = Apply::Always;
    pause(&mut scenario, "paused by hand for the night");
    let (reason, message) = scenario.denial();
    assert_eq!(reason, DenialReason::DatabasePaused);
    assert!(message.contains("\"paused by hand for the night\""), "{message}");
    scenario.request.metadata.uid = None;
    assert_eq!(scenario.denial().0, DenialReason::DatabasePaused);

    scenario.request = request("orders-17", "17.11");
    pause(&mut scenario, "paused by PostgresOpsRequest orders-16 (uid uid-of-orders-16) for the upgrade");
    assert_eq!(scenario.denial().0, DenialReason::DatabasePaused);
    pause(&mut scenario, "paused by PostgresOpsRequest orders-17 (uid uid-of-orders-17) for the upgrade");
    assert!(scenario.decide().is_ok());
}

#[test]
fn denial_reasons_are_transient_or_field_errors() {
    assert!(DenialReason::RequestActive.is_transient());
    assert!(!DenialReason::Matrix(matrix::Reason::Downgrade).is_transient());
    assert!(DenialReason::InvalidTimeout.is_field_error());
    assert!(!DenialReason::DatabaseNotFound.is_field_error());
    assert_eq!(DenialReason::Matrix(matrix::Reason::BaseOs).as_str(), "BaseOS");
}

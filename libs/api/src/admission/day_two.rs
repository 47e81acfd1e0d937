//! Whether a request for a day-two operation is admitted: one that changes a running database, and not its version.

use super::annotations::day_two_annotation_warnings;
use super::database_checks::{available_database, check_running};
use super::denial::{Denial, DenialReason};
use super::facts::Facts;
use super::messages;
use super::namespaced_name::NamespacedName;
use super::options::RequestOptions;
use super::replacement::{Replacement, replacement};
use super::standbys;
use super::warnings::shorten_warning;
use crate::opsrequest::{DayTwo, ExpansionMode};
use crate::plan::Scope;
use crate::postgres::{PostgresPhase, StorageType};
use crate::quantity::Quantity;
use crate::spec_check::{requested_storage, resource_problems, size_problem};
use crate::{Postgres, PostgresOpsRequest, names, settings};

const RESOURCES: &str = "spec.verticalScaling.postgres.resources";
const SIZE: &str = "spec.volumeExpansion.postgres";
const CONFIGURATION: &str = "spec.configuration";

/// The warnings of an admitted request. The order of the checks is that of an upgrade: the request's own fields, the database,
/// another active request, then the state of the database.
pub(super) fn decide(facts: &Facts<'_>, operation: DayTwo) -> Result<Vec<String>, Denial> {
    let request = facts.request;
    let options = RequestOptions::parse(request)?;
    if options.scope == Scope::DryRun {
        return Err(messages::dry_run_of_day_two(operation));
    }
    check_fields(request, operation)?;
    let name = NamespacedName::named_by(request);
    let database = available_database(facts, &name)?;
    standbys::check_day_two(database, facts.standbys, operation, &name)?;
    check_storage(request, operation, database, &name)?;
    check_ephemeral_data(request, operation, database, &name)?;
    check_auth_secret(operation, database, &name)?;
    check_running(database, request, &name)?;
    let mut warnings = warnings(request, operation, database, &name);
    let loses_data = replacement(request, operation) != Replacement::Never && is_ephemeral(database);
    if loses_data {
        warnings.insert(0, format!("all data of {name} is deleted with its pod (storageType Ephemeral)"));
    }
    warnings.extend(day_two_annotation_warnings(request, loses_data));
    Ok(warnings.iter().map(|warning| shorten_warning(warning)).collect())
}

/// What is wrong with the request whatever the state of the cluster is.
fn check_fields(request: &PostgresOpsRequest, operation: DayTwo) -> Result<(), Denial> {
    match operation {
        DayTwo::Restart => Ok(()),
        DayTwo::VerticalScaling => check_resources(request),
        DayTwo::VolumeExpansion => {
            let size = request.spec.volume_size();
            let size = size.ok_or_else(|| messages::missing_field("volumeExpansion", operation, SIZE))?;
            size_problem(SIZE, size).map_or(Ok(()), |problem| {
                Err(messages::invalid(DenialReason::InvalidSize, SIZE, problem.to_string()))
            })
        }
        DayTwo::Reconfigure => check_configuration(request),
        DayTwo::RotateAuth => check_authentication(request),
    }
}

fn check_authentication(request: &PostgresOpsRequest) -> Result<(), Denial> {
    let named = request.spec.authentication.as_ref().and_then(|it| it.secret_ref.as_ref());
    let Some(secret) = named.filter(|secret| !secret.name.is_empty()) else { return Ok(()) };
    let field = "spec.authentication.secretRef";
    let text = format!(
        "{field}: \"{}\" is not supported: omit it, and a new password is generated in the database's own Secret",
        secret.name
    );
    Err(messages::invalid(DenialReason::InvalidAuthentication, field, text))
}

fn check_resources(request: &PostgresOpsRequest) -> Result<(), Denial> {
    let resources = request.spec.server_resources();
    let resources = resources.filter(|it| it.requests.is_some() || it.limits.is_some());
    let resources = resources
        .ok_or_else(|| messages::missing_field("verticalScaling", DayTwo::VerticalScaling, RESOURCES))?;
    let problems = resource_problems("spec.verticalScaling.postgres", resources);
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        return Ok(());
    }
    Err(messages::invalid(DenialReason::InvalidResources, RESOURCES, texts.join("\n")))
}

fn check_configuration(request: &PostgresOpsRequest) -> Result<(), Denial> {
    let missing = || messages::missing_field("configuration", DayTwo::Reconfigure, CONFIGURATION);
    let change = request.spec.configuration.as_ref().ok_or_else(missing)?;
    let secret = change.config_secret.as_ref().map(|secret| secret.name.as_str());
    if secret == Some("") {
        let field = "spec.configuration.configSecret.name";
        let text =
            format!("{field} is empty: name a Secret whose key user.conf has settings, or omit configSecret");
        return Err(messages::invalid(DenialReason::InvalidConfiguration, field, text));
    }
    if change.apply_config.is_empty() {
        let has_effect = secret.is_some() || change.remove_custom_config;
        return if has_effect { Ok(()) } else { Err(missing()) };
    }
    let field = "spec.configuration.applyConfig";
    settings::of_map(&change.apply_config).and_then(settings::check).map_err(|error| {
        messages::invalid(DenialReason::InvalidConfiguration, field, format!("{field}: {error}"))
    })
}

/// A volume can only become larger. A database without a size comes from a cache that does not keep it.
fn check_storage(
    request: &PostgresOpsRequest,
    operation: DayTwo,
    database: &Postgres,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    if operation != DayTwo::VolumeExpansion {
        return Ok(());
    }
    if database.storage_type() == StorageType::Ephemeral {
        return Err(messages::nothing_to_expand(name));
    }
    let (Some(wanted), Some(current)) = (request.spec.volume_size(), requested_storage(database)) else {
        return Ok(());
    };
    match (wanted.parse::<Quantity>(), current.parse::<Quantity>()) {
        (Ok(new), Ok(old)) if new <= old => Err(messages::not_larger(name, wanted, current)),
        _ => Ok(()),
    }
}

/// The data of a database without a volume is deleted with its pod, which the user must want.
fn check_ephemeral_data(
    request: &PostgresOpsRequest,
    operation: DayTwo,
    database: &Postgres,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    let replacement = replacement(request, operation);
    let is_kept = replacement == Replacement::Never || !is_ephemeral(database);
    if is_kept || names::overrides_guards(request.metadata.annotations.as_ref()) {
        return Ok(());
    }
    Err(messages::ephemeral_data(name, operation, replacement))
}

fn is_ephemeral(database: &Postgres) -> bool {
    database.storage_type() == StorageType::Ephemeral
}

/// A Secret that a user has named is not changed. In caches none is named.
fn check_auth_secret(
    operation: DayTwo,
    database: &Postgres,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    let secret = database.auth_secret();
    if operation == DayTwo::RotateAuth && secret != names::auth_secret(name.name) {
        return Err(messages::own_auth_secret(name, &secret));
    }
    Ok(())
}

fn warnings(
    request: &PostgresOpsRequest,
    operation: DayTwo,
    database: &Postgres,
    name: &NamespacedName<'_>,
) -> Vec<String> {
    let restarts = || {
        let of_one = || format!("{name} has no standby: reads and writes stop while its pod is replaced");
        standbys::outage(database, &name.to_string()).unwrap_or_else(of_one)
    };
    let in_git = |field: &str| {
        format!("the request changes {field} of the Postgres: if its manifest is in Git, change it there too")
    };
    let mut warnings = match operation {
        DayTwo::Restart => vec![restarts()],
        DayTwo::VerticalScaling => vec![restarts(), in_git("spec.podTemplate")],
        DayTwo::VolumeExpansion => {
            let offline = (request.spec.expansion_mode() == ExpansionMode::Offline).then(|| {
                format!("{name} is restarted if the driver of its volume expands the file system only then")
            });
            offline.into_iter().chain([in_git("spec.storage")]).collect()
        }
        DayTwo::Reconfigure => {
            let restart = match replacement(request, operation) {
                Replacement::IfNeeded => {
                    Some(format!("{name} is restarted if one of the settings takes effect only then"))
                }
                Replacement::Always => Some(restarts()),
                Replacement::Never => None,
            };
            restart.into_iter().chain([in_git("spec.configSecret and spec.configuration")]).collect()
        }
        DayTwo::RotateAuth => vec![format!(
            "clients of {name} must read Secret {} again: for a moment new connections with either password may be rejected",
            database.auth_secret()
        )],
    };
    if database.phase() != PostgresPhase::Ready {
        warnings
            .push(format!("{name} is {}, and the request proceeds anyway (apply: Always)", database.phase()));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::tests::{Scenario, change};
    use crate::postgres::PostgresStatus;
    use rstest::rstest;
    use serde_json::{Value, json};

    /// A request with this spec for demo/orders, which is Ready and has a volume of 10Gi.
    fn scenario(spec: &Value) -> Scenario {
        let mut scenario = Scenario::new();
        let mut all = json!({ "databaseRef": { "name": "orders" } });
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        scenario.request.spec = serde_json::from_value(all).unwrap();
        let storage = json!({ "resources": { "requests": { "storage": "10Gi" } } });
        change(&mut scenario, |database| database.spec.storage = serde_json::from_value(storage).unwrap());
        scenario
    }

    fn expansion(size: &Value) -> Value {
        json!({ "type": "VolumeExpansion", "volumeExpansion": { "mode": "Online", "postgres": size } })
    }

    #[rstest]
    #[case(json!({ "type": "Restart", "restart": {} }), "reads and writes stop while its pod is replaced")]
    #[case(
        json!({ "type": "VerticalScaling", "verticalScaling": { "postgres": { "resources": {
            "requests": { "memory": "1200Mi", "cpu": 0.7 }, "limits": { "memory": "1200Mi", "cpu": "700m" },
        }}}}),
        "changes spec.podTemplate of the Postgres"
    )]
    #[case(json!({ "type": "RotateAuth" }), "must read Secret orders-auth again")]
    #[case(expansion(&json!("20Gi")), "changes spec.storage of the Postgres")]
    #[case(
        json!({ "type": "Reconfigure", "configuration": { "applyConfig": { "user.conf": "work_mem = '8MB'" } } }),
        "is restarted if one of the settings takes effect only then"
    )]
    #[case(
        json!({ "type": "Reconfigure", "configuration": { "configSecret": { "name": "mine" } } }),
        "reads and writes stop while its pod is replaced"
    )]
    #[case(
        json!({ "type": "Reconfigure", "configuration": { "removeCustomConfig": true, "restart": "false" } }),
        "changes spec.configSecret and spec.configuration"
    )]
    fn request_is_admitted_with_what_it_does(#[case] spec: Value, #[case] warning: &str) {
        let warnings = scenario(&spec).decide().unwrap().warnings;
        assert!(warnings.iter().any(|line| line.contains(warning)), "{warnings:?}");
    }

    #[rstest]
    #[case(json!({ "type": "VerticalScaling" }), DenialReason::MissingField, "`spec.verticalScaling` nil")]
    #[case(
        json!({ "type": "VerticalScaling", "verticalScaling": { "postgres": { "resources": {} } } }),
        DenialReason::MissingField, "set spec.verticalScaling.postgres.resources"
    )]
    #[case(
        json!({ "type": "VerticalScaling", "verticalScaling": { "postgres": { "resources": {
            "requests": { "cpu": "2" }, "limits": { "cpu": "1" },
        }}}}),
        DenialReason::InvalidResources, "spec.verticalScaling.postgres.resources.requests.cpu: \"2\" is more than the limit"
    )]
    #[case(json!({ "type": "VolumeExpansion" }), DenialReason::MissingField, "`spec.volumeExpansion` nil")]
    #[case(expansion(&json!("20GB")), DenialReason::InvalidSize, "write \"20G\"")]
    #[case(expansion(&json!(20)), DenialReason::InvalidSize, "is less than an empty database needs")]
    #[case(expansion(&json!("10Gi")), DenialReason::StorageNotLarger, "has 10Gi, and 10Gi is not larger")]
    #[case(expansion(&json!("9Gi")), DenialReason::StorageNotLarger, "set more than 10Gi")]
    #[case(json!({ "type": "Reconfigure", "configuration": {} }), DenialReason::MissingField, "removeCustomConfig: true")]
    #[case(
        json!({ "type": "Reconfigure", "configuration": { "configSecret": { "name": "" } } }),
        DenialReason::InvalidConfiguration, "spec.configuration.configSecret.name is empty"
    )]
    #[case(
        json!({ "type": "Reconfigure", "configuration": { "applyConfig": { "pg_hba.conf": "x" } } }),
        DenialReason::InvalidConfiguration, "the key \"pg_hba.conf\" is unknown"
    )]
    #[case(
        json!({ "type": "RotateAuth", "authentication": { "secretRef": { "name": "mine" } } }),
        DenialReason::InvalidAuthentication, "\"mine\" is not supported"
    )]
    #[case(json!({ "type": "Restart", "timeout": "5" }), DenialReason::InvalidTimeout, "\"5\" is not a duration")]
    fn request_with_a_wrong_field_is_denied(
        #[case] spec: Value,
        #[case] reason: DenialReason,
        #[case] part: &str,
    ) {
        let denial = scenario(&spec).decide().unwrap_err();
        assert_eq!(denial.reason, reason, "{denial}");
        assert!(denial.message.contains(part), "{denial}");
    }

    #[test]
    fn password_in_a_secret_of_the_user_is_not_rotated() {
        let mut scenario = scenario(&json!({ "type": "RotateAuth" }));
        let named = serde_json::from_value(json!({ "name": "mine" })).unwrap();
        change(&mut scenario, |database| database.spec.auth_secret = named);
        let denial = scenario.decide().unwrap_err();
        assert!(
            denial.reason == DenialReason::AuthSecretNamed && denial.message.contains("Secret mine"),
            "{denial}"
        );
    }

    #[test]
    fn size_that_the_caches_do_not_know_is_judged_later() {
        let mut scenario = scenario(&expansion(&json!("9Gi")));
        change(&mut scenario, |database| database.spec.storage = None);
        assert!(scenario.decide().is_ok());
        change(&mut scenario, |database| database.spec.storage_type = Some(StorageType::Ephemeral));
        assert_eq!(scenario.decide().unwrap_err().reason, DenialReason::EphemeralStorage);
    }

    #[rstest]
    #[case::restart(json!({ "type": "Restart" }), true)]
    #[case::resources(
        json!({ "type": "VerticalScaling", "verticalScaling": { "postgres": { "resources": {
            "requests": { "memory": "1Gi" },
        }}}}),
        true
    )]
    #[case::settings(
        json!({ "type": "Reconfigure", "configuration": { "applyConfig": { "user.conf": "work_mem = '8MB'" } } }),
        true
    )]
    #[case::settings_without_a_restart(
        json!({ "type": "Reconfigure", "configuration": { "removeCustomConfig": true, "restart": "false" } }),
        false
    )]
    #[case::password(json!({ "type": "RotateAuth" }), false)]
    fn data_that_is_deleted_with_its_pod_is_lost_only_if_the_user_says_so(
        #[case] spec: Value,
        #[case] is_denied: bool,
    ) {
        let mut scenario = scenario(&spec);
        change(&mut scenario, |database| database.spec.storage_type = Some(StorageType::Ephemeral));
        match scenario.decide() {
            Ok(_) => assert!(!is_denied),
            Err(denial) => {
                assert!(is_denied && denial.reason == DenialReason::EphemeralStorage, "{denial}");
                assert!(denial.message.contains("pgops.dev/override-guards: \"true\""), "{denial}");
            }
        }
        let annotation = (names::ANNOTATION_OVERRIDE.to_owned(), "true".to_owned());
        scenario.request.metadata.annotations = Some([annotation].into());
        let warnings = scenario.decide().unwrap().warnings;
        let tells = |part: &str| warnings.iter().any(|line| line.contains(part));
        assert_eq!(tells("all data of demo/orders is deleted with its pod"), is_denied, "{warnings:?}");
        assert_eq!(tells("override-guards has no effect"), !is_denied, "{warnings:?}");
    }

    #[test]
    fn denial_of_lost_data_says_what_to_do_instead() {
        let mut scenario = scenario(&json!({
            "type": "Reconfigure", "configuration": { "applyConfig": { "user.conf": "work_mem = '8MB'" } },
        }));
        change(&mut scenario, |database| database.spec.storage_type = Some(StorageType::Ephemeral));
        assert_eq!(
            scenario.decide().unwrap_err().message,
            "demo/orders has storageType Ephemeral: its data is deleted with its pod, which a request of type Reconfigure replaces \
             if a setting needs that. Set spec.configuration.restart: \"false\"; or, to lose the data, annotate the request with \
             pgops.dev/override-guards: \"true\""
        );
    }

    #[test]
    fn state_of_the_database_counts_as_for_an_upgrade() {
        let restart = json!({ "type": "Restart" });
        let denied = |spoil: &dyn Fn(&mut Scenario)| {
            let mut scenario = scenario(&restart);
            spoil(&mut scenario);
            scenario.decide().unwrap_err().reason
        };
        assert_eq!(denied(&|it| it.database = None), DenialReason::DatabaseNotFound);
        assert_eq!(
            denied(&|it| change(it, |database| database.spec.halted = Some(true))),
            DenialReason::DatabaseHalted
        );
        let not_ready = |database: &mut Postgres| {
            let phase = Some(PostgresPhase::NotReady);
            database.status = Some(PostgresStatus { phase, ..PostgresStatus::default() });
        };
        assert_eq!(denied(&|it| change(it, not_ready)), DenialReason::DatabaseNotReady);
        let mut always = scenario(&json!({ "type": "Restart", "apply": "Always" }));
        change(&mut always, not_ready);
        assert!(always.decide().unwrap().warnings.iter().any(|line| line.contains("is NotReady")));
    }

    #[test]
    fn annotations_that_are_about_upgrades_are_refused_or_named() {
        let mut scenario = scenario(&json!({ "type": "Restart" }));
        let annotate = |scenario: &mut Scenario, key: &str| {
            scenario.request.metadata.annotations = Some([(key.to_owned(), "true".to_owned())].into());
        };
        annotate(&mut scenario, crate::names::ANNOTATION_DRY_RUN);
        let denial = scenario.decide().unwrap_err();
        assert_eq!(denial.reason, DenialReason::InvalidDryRun);
        assert!(denial.message.contains("there is no dry run of a request of type Restart"), "{denial}");
        annotate(&mut scenario, crate::names::ANNOTATION_ALLOW_BASE_OS_CHANGE);
        let warnings = scenario.decide().unwrap().warnings;
        assert!(
            warnings.iter().any(|line| line.ends_with("has no effect on a request of type Restart")),
            "{warnings:?}"
        );
    }
}

//! The number of servers, and how they follow each other.

use super::{SpecProblem, SpecProblemReason};
use crate::replicated_settings::ReplicatedSettings;
use crate::topology::{StandbyMode, StandbySupport, StreamingMode, Topology};
use crate::{Claim, Postgres};

const REPLICAS: &str = "spec.replicas";
const STREAMING: &str = "spec.streamingMode";
/// The provisioner reads no Secrets, so it cannot copy what all servers must agree on.
const SETTINGS_IN_A_SECRET: &str = "settings in a Secret: those that standbys must agree on, such as max_connections, have an effect \
                                    only in spec.configuration.inline";

/// A number of servers that the installation cannot run, or a promise that this number cannot keep.
pub fn check(database: &Postgres, support: StandbySupport) -> Option<SpecProblem> {
    let unsupported = |remedy: String| {
        let message = format!("{} {remedy}", database.replicas());
        SpecProblem::new(SpecProblemReason::ReplicasUnsupported, REPLICAS, message)
    };
    match (database.topology(), support) {
        (Err(error), _) => Some(unsupported(error.to_string())),
        (Ok(Topology::Standbys(_)), StandbySupport::Disabled) => Some(unsupported(
            "is not supported: pgops runs one server per database and has no replication yet; set spec.replicas: 1".to_owned(),
        )),
        (Ok(Topology::Single), StandbySupport::Enabled)
            if database.streaming_mode() == StreamingMode::Synchronous =>
        {
            let message = "\"Synchronous\" requires a standby, and the database has one server: set spec.replicas: 3, or omit \
                           spec.streamingMode";
            Some(SpecProblem::new(SpecProblemReason::InvalidReplication, STREAMING, message))
        }
        (Ok(Topology::Single | Topology::Standbys(_)), _) => None,
    }
}

/// A change of the number of servers that cannot be made now, or not yet.
pub fn check_change(new: &Postgres, old: &Postgres, support: StandbySupport) -> Option<SpecProblem> {
    let (now, before) = (new.replicas(), old.replicas());
    // What was never started may change in any way.
    if support == StandbySupport::Disabled || now == before || !old.was_initialized() {
        return None;
    }
    if let Some(holder) = holder(old) {
        let message = format!(
            "{now} instead of {before}: the number of servers cannot change while {holder}: keep {before} until that has ended"
        );
        return Some(SpecProblem::new(SpecProblemReason::ScalingBlocked, REPLICAS, message));
    }
    let message = match (before, now) {
        (..=1, 2..) => {
            format!(
                "{now} is not supported: a database that was started with one server cannot get standbys yet; keep {before}"
            )
        }
        (2.., ..=1) => {
            format!(
                "{now} is not supported: the last standby of a database cannot be removed yet; keep {before}"
            )
        }
        (2.., 2..) if now < before => {
            format!("{now} is not supported: servers of a database cannot be removed yet; keep {before}")
        }
        _ => return None,
    };
    Some(SpecProblem::new(SpecProblemReason::ReplicasUnsupported, REPLICAS, message))
}

/// What holds the database, such as an upgrade.
fn holder(database: &Postgres) -> Option<String> {
    if let Ok(Some(claim)) = Claim::on(database) {
        return Some(format!("PostgresOpsRequest {} changes the database", claim.request));
    }
    let paused = database.paused()?;
    Some(format!("the database is paused (\"{}\")", paused.message.as_deref().unwrap_or("no reason given")))
}

/// What is admitted of a database with standbys, and is probably not what the user expects.
pub fn warnings(database: &Postgres) -> Vec<String> {
    let Ok(Topology::Standbys(standbys)) = database.topology() else { return Vec::new() };
    let mut warnings = Vec::new();
    if standbys.servers() == 2 {
        warnings.push(format!(
            "{REPLICAS}: with 2 servers, nothing replaces the second one while the first is away, and commits then wait for no \
             standby: 3 keep one"
        ));
    } else if standbys.servers().is_multiple_of(2) {
        warnings.push(format!(
            "{REPLICAS}: other than KubeDB, pgops runs no arbiter next to an even number of servers: the API server decides which \
             one is the primary"
        ));
    }
    if database.spec.standby_mode == Some(StandbyMode::Warm) {
        warnings.push("spec.standbyMode: \"Warm\" has no effect: standbys answer reads".to_owned());
    }
    if database.settings_secret().is_some() {
        warnings.push(SETTINGS_IN_A_SECRET.to_owned());
    }
    let settings = ReplicatedSettings::parse(database.inline_settings());
    warnings.extend(settings.ignored().iter().map(|problem| format!("spec.configuration.inline: {problem}")));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;
    use rstest::rstest;
    use serde_json::{Value, json};

    const ENABLED: StandbySupport = StandbySupport::Enabled;

    fn database(change: Value) -> Postgres {
        let mut spec = json!({ "version": "17.11" });
        let Value::Object(change) = change else { panic!("{change}") };
        spec.as_object_mut().unwrap().extend(change);
        let metadata = json!({ "name": "orders", "annotations": { names::ANNOTATION_INITIALIZED: "true" } });
        let manifest =
            json!({ "apiVersion": "kubedb.com/v1", "kind": "Postgres", "metadata": metadata, "spec": spec });
        serde_json::from_value(manifest).unwrap()
    }

    fn servers(replicas: i32) -> Postgres {
        database(json!({ "replicas": replicas }))
    }

    #[rstest]
    #[case::one(json!({}))]
    #[case::two(json!({ "replicas": 2, "streamingMode": "Synchronous" }))]
    #[case::three(json!({ "replicas": 3, "streamingMode": "Asynchronous", "standbyMode": "Hot" }))]
    fn enabled_standbys_have_no_problems(#[case] change: Value) {
        assert_eq!(check(&database(change), ENABLED), None);
    }

    #[rstest]
    #[case(json!({ "replicas": 0 }), ENABLED, "spec.replicas: 0 is not supported: set spec.replicas: 1")]
    #[case(json!({ "replicas": -3 }), ENABLED, "spec.replicas: -3 is negative: set spec.replicas: 1")]
    #[case(json!({ "replicas": 3 }), StandbySupport::Disabled, "spec.replicas: 3 is not supported: pgops runs one server")]
    #[case(
        json!({ "streamingMode": "Synchronous" }), ENABLED,
        "spec.streamingMode: \"Synchronous\" requires a standby, and the database has one server: set spec.replicas: 3"
    )]
    fn servers_that_cannot_run_are_a_problem(
        #[case] change: Value,
        #[case] support: StandbySupport,
        #[case] expected: &str,
    ) {
        let problem = check(&database(change), support).unwrap().to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }

    #[test]
    fn one_server_may_be_synchronous_where_standbys_are_disabled() {
        let database = database(json!({ "streamingMode": "Synchronous" }));
        assert_eq!(check(&database, StandbySupport::Disabled), None);
    }

    #[rstest]
    #[case(
        1,
        3,
        Some("3 is not supported: a database that was started with one server cannot get standbys yet")
    )]
    #[case(3, 1, Some("1 is not supported: the last standby of a database cannot be removed yet"))]
    #[case(5, 3, Some("3 is not supported: servers of a database cannot be removed yet; keep 5"))]
    #[case(3, 5, None)]
    #[case(3, 3, None)]
    fn servers_are_added_to_standbys_only(
        #[case] old: i32,
        #[case] new: i32,
        #[case] expected: Option<&str>,
    ) {
        let problem = check_change(&servers(new), &servers(old), ENABLED);
        assert_eq!(problem.is_some(), expected.is_some(), "{problem:?}");
        if let (Some(problem), Some(expected)) = (problem, expected) {
            assert!(problem.message.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn database_that_was_never_started_and_one_without_standbys_change_freely() {
        let mut new = servers(1);
        new.metadata.annotations = None;
        assert_eq!(check_change(&servers(3), &new, ENABLED), None);
        assert_eq!(check_change(&servers(1), &servers(3), StandbySupport::Disabled), None);
    }

    #[test]
    fn number_of_servers_cannot_change_while_a_request_holds_the_database() {
        let mut held = servers(3);
        let claim = json!({ "request": "orders-17", "uid": "r-1" }).to_string();
        held.metadata.annotations.as_mut().unwrap().insert(names::ANNOTATION_CLAIM.to_owned(), claim);
        let problem = check_change(&servers(5), &held, ENABLED).unwrap();
        assert_eq!(problem.reason, SpecProblemReason::ScalingBlocked);
        let expected = "cannot change while PostgresOpsRequest orders-17 changes the database: keep 3";
        assert!(problem.message.contains(expected), "{problem}");

        let mut paused = servers(3);
        let condition = json!({
            "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z", "message": "by hand",
        });
        paused.status = serde_json::from_value(json!({ "conditions": [condition] })).unwrap();
        let problem = check_change(&servers(5), &paused, ENABLED).unwrap();
        assert!(problem.message.contains("while the database is paused (\"by hand\")"), "{problem}");
    }

    #[rstest]
    #[case(json!({ "replicas": 2 }), "with 2 servers, nothing replaces the second one")]
    #[case(json!({ "replicas": 4 }), "pgops runs no arbiter next to an even number of servers")]
    #[case(json!({ "replicas": 3, "standbyMode": "Warm" }), "spec.standbyMode: \"Warm\" has no effect")]
    #[case(json!({ "replicas": 3, "configSecret": { "name": "mine" } }), "settings in a Secret")]
    #[case(
        json!({ "replicas": 3, "configuration": { "inline": { "user.conf": "max_connections = 20" } } }),
        "spec.configuration.inline: max_connections = 20 has no effect with standbys: 25 is the least"
    )]
    fn standbys_that_may_surprise_are_warned_about(#[case] change: Value, #[case] expected: &str) {
        let warnings = warnings(&database(change));
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
        assert!(warnings[0].chars().count() <= crate::admission::MAX_WARNING, "{warnings:?}");
    }

    #[test]
    fn one_and_three_servers_surprise_no_user() {
        assert_eq!((warnings(&servers(1)), warnings(&servers(3))), (vec![], vec![]));
    }
}

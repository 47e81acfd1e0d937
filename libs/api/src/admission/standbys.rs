//! What is admitted of a database with standbys, whose servers are replaced one by one.

use super::denial::Denial;
use super::messages;
use super::namespaced_name::NamespacedName;
use crate::Postgres;
use crate::matrix::Allowed;
use crate::names;
use crate::opsrequest::DayTwo;
use crate::plan::UpgradeKind;
use crate::topology::StandbySupport;

/// Servers with which one can be replaced while another one answers reads.
const ENOUGH_FOR_READS: i32 = 3;

/// Within a major version.
pub(super) fn check_upgrade(
    database: &Postgres,
    support: StandbySupport,
    allowed: &Allowed<'_>,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    match (database.replicas(), support, allowed.kind()) {
        (..2, _, _) | (_, StandbySupport::Enabled, UpgradeKind::Minor) => Ok(()),
        (replicas, StandbySupport::Disabled, _) => Err(messages::replicas(name, replicas)),
        (replicas, StandbySupport::Enabled, UpgradeKind::Major) => {
            let (from, to) = (allowed.from.name(), allowed.to.name());
            Err(messages::major_with_standbys(name, replicas, from, to))
        }
    }
}

/// What changes nothing but the pods.
pub(super) fn check_day_two(
    database: &Postgres,
    support: StandbySupport,
    operation: DayTwo,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    match (database.replicas(), support, operation) {
        (..2, _, _) | (_, StandbySupport::Enabled, DayTwo::Restart | DayTwo::VerticalScaling) => Ok(()),
        (replicas, _, _) => Err(messages::replicas_of_day_two(name, replicas, operation)),
    }
}

/// What stops while the servers are replaced, if there are several. `name` is how to refer to the database.
pub(super) fn outage(database: &Postgres, name: &str) -> Option<String> {
    let servers = format!("the servers of {name} restart one by one, and writes stop for a switchover");
    match database.replicas() {
        ..=1 => None,
        ENOUGH_FOR_READS.. => Some(servers),
        _ => {
            let service = names::standby_service(database.metadata.name.as_deref().unwrap_or_default());
            Some(format!("{servers}; reads through Service {service} stop while its only standby restarts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::DenialReason;
    use crate::admission::tests::{Scenario, change, request};
    use rstest::rstest;
    use serde_json::json;

    fn scenario(target: &str, replicas: i32) -> Scenario {
        let mut scenario = Scenario::new();
        scenario.standbys = StandbySupport::Enabled;
        scenario.request = request("orders-17", target);
        change(&mut scenario, |database| database.spec.replicas = Some(replicas));
        scenario
    }

    #[test]
    fn minor_upgrade_of_standbys_is_admitted_with_what_stops() {
        let warnings = |replicas| scenario("13.9", replicas).decide().unwrap().warnings;
        let text = "the servers of demo/orders restart one by one, and writes stop for a switchover";
        assert!(warnings(3).iter().any(|line| line == text), "{:?}", warnings(3));
        let two =
            format!("{text}; reads through Service orders-standby stop while its only standby restarts");
        assert!(warnings(2).contains(&two), "{:?}", warnings(2));
        assert!(!warnings(3).iter().any(|line| line.contains("has no standby")), "{:?}", warnings(3));
    }

    #[test]
    fn major_upgrade_of_standbys_is_denied_with_what_is_possible() {
        let denial = scenario("17.11", 3).decide().unwrap_err();
        assert_eq!(denial.reason, DenialReason::ReplicasUnsupported);
        let text = "demo/orders has 3 replicas, and pgops upgrades only databases with one server to another major version, as \
                    from 13.16 to 17.11: choose a target of the same major version";
        assert_eq!(denial.message, text);
        assert!(scenario("17.11", 1).decide().is_ok());
    }

    #[rstest]
    #[case::restart(json!({ "type": "Restart" }), StandbySupport::Enabled, true)]
    #[case::without_the_flag(json!({ "type": "Restart" }), StandbySupport::Disabled, false)]
    #[case::resources(
        json!({ "type": "VerticalScaling", "verticalScaling": { "postgres": { "resources": { "limits": { "memory": "1Gi" } } } } }),
        StandbySupport::Enabled, true
    )]
    #[case::password(json!({ "type": "RotateAuth" }), StandbySupport::Enabled, false)]
    fn operations_on_standbys_are_admitted_if_they_only_replace_pods(
        #[case] spec: serde_json::Value,
        #[case] support: StandbySupport,
        #[case] admitted: bool,
    ) {
        let mut spec = spec;
        spec["databaseRef"] = json!({ "name": "orders" });
        let mut scenario = scenario("13.16", 3);
        scenario.standbys = support;
        scenario.request.spec = serde_json::from_value(spec).unwrap();
        let decided = scenario.decide();
        assert_eq!(decided.is_ok(), admitted, "{decided:?}");
        if let Ok(admitted) = decided {
            assert!(admitted.warnings[0].starts_with("the servers of demo/orders restart one by one"));
        }
    }
}

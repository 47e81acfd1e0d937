//! What one upgrade's worker may do: the rules of its Role.
//!
//! RBAC knows objects, not fields. What a worker may write into an object is decided by the chart's admission policies
//! (`charts/pgops/templates/worker`), which ask the API server whether the worker has a right of the group [`PLAN`]. No
//! API has that group: the launcher writes the plan in this form, where the policies can read it and the worker cannot
//! change it, and it ends with the Role.

use pgops_api::plan::{Scope, VersionRef};
use pgops_api::{UpgradePlan, layout, names};

/// API group of the rights that express the plan.
pub const PLAN: &str = "plan.pgops.dev";

const REQUESTS: &str = "ops.kubedb.com";
const DATABASES: &str = "kubedb.com";
const APPS: &str = "apps";
const CORE: &str = "";
const EVENTS: &str = "events.k8s.io";

/// One rule of the Role.
#[derive(Clone, Debug, PartialEq)]
pub struct Right {
    pub group: &'static str,
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
    /// The objects; `None` where RBAC cannot name them.
    pub names: Option<Vec<String>>,
    /// Why the worker needs it, for the documentation.
    pub why: &'static str,
}

/// The rights of the worker that executes the plan. A dry run reads, and writes only the status and the report of its own
/// request.
pub fn rights(plan: &UpgradePlan) -> Vec<Right> {
    let mut rights = common(plan);
    rights.extend(records(plan));
    match plan.scope {
        Scope::DryRun => {}
        Scope::Upgrade => {
            rights.extend(upgrade(plan));
            rights.extend(switchover(plan));
        }
    }
    // RBAC takes an empty list for every name.
    rights.retain(|right| right.names.as_ref().is_none_or(|names| !names.is_empty()));
    rights
}

fn common(plan: &UpgradePlan) -> Vec<Right> {
    let request = || vec![plan.request.clone()];
    let database = || vec![plan.database.clone()];
    // The second one is for a request whose report's usual name is taken.
    let report =
        || vec![names::report(&plan.request), names::report_by_uid(&plan.request, &plan.request_uid)];
    vec![
        right(REQUESTS, "postgresopsrequests", &["get"], request(), "to see that it ended or was cancelled"),
        right(REQUESTS, "postgresopsrequests/status", &["update"], request(), "to report steps and result"),
        right(DATABASES, "postgreses", &["get"], database(), "to see whether it is paused"),
        right(APPS, "statefulsets", &["get"], database(), "to read image and affinity"),
        right(
            CORE,
            "services",
            &["get"],
            database(),
            "to see whose it is, and whether clients reach the server through it",
        ),
        right(
            CORE,
            "pods",
            &["get"],
            plan.pods().collect(),
            "to reach the server, and to see that it ended; the launcher adds the worker's own pods once they exist",
        ),
        right(
            CORE,
            "persistentvolumeclaims",
            &["get"],
            plan.claims().collect(),
            "to see that the volume outlives the pod",
        ),
        // The chart's policy restricts it to the name of the report.
        any(CORE, "configmaps", &["create"], "to write the report; RBAC cannot restrict `create` to a name"),
        right(CORE, "configmaps", &["get", "patch"], report(), "to write the report and a journal"),
        any(EVENTS, "events", &["create", "patch"], "to announce the result on the request"),
        any(
            CORE,
            "events",
            &["list"],
            "to say why the database's pod does not start; RBAC cannot restrict `list` to an object",
        ),
        right(PLAN, "requests", &["own"], vec![plan.request_uid.clone()], "its request, by uid"),
    ]
}

fn upgrade(plan: &UpgradePlan) -> Vec<Right> {
    let database = || vec![plan.database.clone()];
    let images = vec![plan.from.image.clone(), plan.to.image.clone()];
    let directories = [&plan.from, &plan.to].into_iter().filter_map(data_directory).collect();
    // The pods of several servers are replaced one by one, and never stopped together.
    let fewest = if plan.has_standbys() { plan.servers } else { 0 };
    let counts = (fewest..=plan.servers).map(|count| count.to_string()).collect();
    vec![
        right(DATABASES, "postgreses", &["patch"], database(), "to set `spec.version`"),
        right(DATABASES, "postgreses/status", &["patch"], database(), "to pause and to resume it"),
        right(APPS, "statefulsets", &["patch"], database(), "to stop it, and to start the other version"),
        right(CORE, "services", &["patch"], database(), "to reach the new server at its first answer"),
        right(CORE, "pods", &["delete"], plan.pods().collect(), "to replace a pod of the other version"),
        right(PLAN, "versions", &["set"], vec![plan.to.name.clone()], "the values of `spec.version`"),
        right(PLAN, "images", &["set"], images, "the images of the StatefulSet"),
        right(PLAN, "datadirectories", &["set"], directories, "the values of `PGDATA`"),
        right(PLAN, "replicas", &["set"], counts, "the numbers of pods of the StatefulSet"),
    ]
}

/// What Patroni records of a database with standbys.
fn records(plan: &UpgradePlan) -> Option<Right> {
    let scope = ha_scope(plan)?;
    let names = [names::ha_leader, names::ha_sync, names::ha_failover].map(|name| name(&scope)).into();
    let why = "to see which standbys are synchronous and have no lag, with standbys";
    Some(right(CORE, "configmaps", &["get"], names, why))
}

fn switchover(plan: &UpgradePlan) -> Option<Right> {
    let name = names::ha_failover(&ha_scope(plan)?);
    let why = "to have Patroni make another server the primary, with standbys";
    Some(right(CORE, "configmaps", &["patch"], vec![name], why))
}

fn ha_scope(plan: &UpgradePlan) -> Option<String> {
    let major = plan.from.pg_version().ok()?.major;
    plan.has_standbys().then(|| names::ha_scope(&plan.database, major))
}

fn data_directory(version: &VersionRef) -> Option<String> {
    version.pg_version().ok().map(|version| layout::pgdata(version.major))
}

fn right(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    names: Vec<String>,
    why: &'static str,
) -> Right {
    Right { group, resource, verbs, names: Some(names), why }
}

fn any(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    why: &'static str,
) -> Right {
    Right { group, resource, verbs, names: None, why }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::launcher::fixtures::worker;
    use serde::Deserialize;

    const CHART: &str = include_str!("../../../../charts/pgops/templates/launcher/rbac.yaml");

    /// A rule of the launcher's role in the chart.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rule {
        api_groups: Vec<String>,
        resources: Vec<String>,
        verbs: Vec<String>,
    }

    impl Rule {
        fn includes(&self, right: &Right, verb: &str) -> bool {
            let has = |all: &[String], one: &str| all.iter().any(|it| it == one);
            has(&self.api_groups, right.group)
                && has(&self.resources, right.resource)
                && has(&self.verbs, verb)
        }
    }

    fn plan(scope: Scope) -> UpgradePlan {
        UpgradePlan { scope, ..worker("13.16", "17.11").plan }
    }

    /// The names of the objects that may be handled so.
    fn names_of(rights: &[Right], group: &str, resource: &str, verb: &str) -> Vec<String> {
        let matching = |right: &&Right| {
            right.group == group && right.resource == resource && right.verbs.contains(&verb)
        };
        rights.iter().filter(matching).flat_map(|right| right.names.clone().unwrap_or_default()).collect()
    }

    #[test]
    fn rights_name_every_existing_object_and_open_no_secret() {
        for scope in [Scope::Upgrade, Scope::DryRun] {
            for right in rights(&plan(scope)) {
                let creates_only = right.verbs == ["create"] || right.resource == "events";
                assert_eq!(right.names.is_none(), creates_only, "{right:?}");
                assert!(right.names.as_ref().is_none_or(|names| !names.is_empty()), "any name: {right:?}");
                assert!(!["secrets", "pods/exec", "*"].contains(&right.resource), "{right:?}");
                let is_open = |verb: &&str| {
                    ["*", "watch"].contains(verb) || (*verb == "list" && right.resource != "events")
                };
                assert!(!right.verbs.iter().any(is_open), "{right:?}");
            }
        }
    }

    // RBAC would refuse to create a Role with any other right.
    #[test]
    fn launcher_has_every_right_that_it_grants() {
        let (_, rules) = CHART.split_once(r#"{{- define "pgops.launcher.rules" }}"#).unwrap();
        let (rules, _) = rules.split_once("{{- end }}").unwrap();
        let rules: Vec<Rule> = serde_saphyr::from_str(rules).unwrap();
        for right in [Scope::Upgrade, Scope::DryRun].into_iter().flat_map(|scope| rights(&plan(scope))) {
            for verb in right.verbs {
                assert!(rules.iter().any(|rule| rule.includes(&right, verb)), "{verb} of {right:?}");
            }
        }
    }

    #[test]
    fn rights_of_an_upgrade_are_its_plan() {
        let rights = rights(&plan(Scope::Upgrade));
        assert_eq!(names_of(&rights, CORE, "pods", "delete"), ["orders-0"]);
        assert_eq!(names_of(&rights, PLAN, "versions", "set"), ["17.11"]);
        let images = names_of(&rights, PLAN, "images", "set");
        assert_eq!(images, ["registry/postgres:13.16-patched", "postgres:17.11"]);
        let directories = names_of(&rights, PLAN, "datadirectories", "set");
        assert_eq!(directories, ["/var/pv/13/data", "/var/pv/17/data"]);
        assert_eq!(names_of(&rights, PLAN, "replicas", "set"), ["0", "1"]);
        assert_eq!(names_of(&rights, PLAN, "requests", "own"), [plan(Scope::Upgrade).request_uid]);
    }

    #[test]
    fn rights_on_several_servers_are_theirs_by_name_and_stop_none_for_long() {
        let plan = UpgradePlan { servers: 3, ..worker("13.16", "13.23").plan };
        let upgrade = rights(&plan);
        assert_eq!(names_of(&upgrade, CORE, "pods", "delete"), ["orders-0", "orders-1", "orders-2"]);
        assert_eq!(names_of(&upgrade, PLAN, "replicas", "set"), ["3"]);
        let [report, by_uid] =
            [names::report(&plan.request), names::report_by_uid(&plan.request, &plan.request_uid)];
        assert_eq!(
            names_of(&upgrade, CORE, "configmaps", "patch"),
            [report.as_str(), &by_uid, "orders-ha-13-failover"]
        );
        let records = ["orders-ha-13-leader", "orders-ha-13-sync", "orders-ha-13-failover"];
        assert!(names_of(&upgrade, CORE, "configmaps", "get").ends_with(&records.map(ToOwned::to_owned)));
        let dry_run = rights(&UpgradePlan { scope: Scope::DryRun, ..plan });
        assert_eq!(names_of(&dry_run, CORE, "configmaps", "patch"), [report, by_uid]);
        assert!(names_of(&dry_run, CORE, "configmaps", "get").ends_with(&records.map(ToOwned::to_owned)));
    }

    #[test]
    fn right_without_a_name_is_not_a_right_to_every_name() {
        let mut plan = plan(Scope::Upgrade);
        plan.from.version = "unknown".to_owned();
        plan.to.version = "unknown".to_owned();
        plan.servers = 0;
        let rights = rights(&plan);
        assert!(
            rights.iter().all(|right| !["pods", "datadirectories"].contains(&right.resource)),
            "{rights:?}"
        );
    }

    #[test]
    fn rights_of_a_dry_run_change_only_its_own_request() {
        let rights = rights(&plan(Scope::DryRun));
        let changed: BTreeSet<_> = rights
            .iter()
            .filter(|right| right.group != PLAN && right.verbs != ["get"])
            .map(|right| right.resource)
            .collect();
        assert_eq!(changed, BTreeSet::from(["configmaps", "events", "postgresopsrequests/status"]));
        assert_eq!(names_of(&rights, PLAN, "images", "set"), [""; 0]);
    }
}

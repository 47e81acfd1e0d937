//! Requests and limits of the containers that run `PostgreSQL`'s programs. All containers of a worker have limits where the
//! database's has: a namespace whose `ResourceQuota` counts limits refuses any other pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pgops_api::quantity::Quantity as Amount;

use super::Worker;
use crate::launcher::options::WorkerOptions;

/// Programs such as `pg_dump` need memory for each object of a database, however small its server is.
const LEAST_MEMORY: &str = "1Gi";

impl Worker {
    /// Those of the container that runs programs on the volume.
    pub(super) fn programs_resources(&self, options: &WorkerOptions) -> ResourceRequirements {
        resources(options, self.limits(options))
    }

    /// Those of the container of the scratch server.
    pub(super) fn rehearsal_resources(&self, options: &WorkerOptions) -> ResourceRequirements {
        let mut limits = self.limits(options);
        limits.insert("memory".to_owned(), options.rehearsal_memory.clone().into());
        resources(options, limits)
    }

    /// The configured limits, and for those that are not set, the database's own: what its administrator grants the server
    /// is enough for the same data.
    fn limits(&self, options: &WorkerOptions) -> BTreeMap<String, Quantity> {
        let mut limits = options.programs_resources.limits.clone();
        for name in ["cpu", "memory"] {
            if let Some(of_server) = self.server_limits.get(name).filter(|_| !limits.contains_key(name)) {
                let least = Quantity(LEAST_MEMORY.to_owned());
                let limit = if name == "memory" && is_less(of_server, &least) { &least } else { of_server };
                limits.insert(name.to_owned(), limit.clone());
            }
        }
        limits
    }
}

/// A request that is larger than its limit would be refused.
fn resources(options: &WorkerOptions, limits: BTreeMap<String, Quantity>) -> ResourceRequirements {
    let mut requests = options.programs_resources.requests.clone();
    for (name, request) in &mut requests {
        if let Some(limit) = limits.get(name).filter(|limit| is_less(limit, request)) {
            *request = limit.clone();
        }
    }
    let some = |map: BTreeMap<String, Quantity>| Some(map).filter(|map| !map.is_empty());
    ResourceRequirements { requests: some(requests), limits: some(limits), claims: None }
}

/// One that cannot be parsed is left for the API server to refuse.
fn is_less(left: &Quantity, right: &Quantity) -> bool {
    let amount = |quantity: &Quantity| quantity.0.parse::<Amount>();
    matches!((amount(left), amount(right)), (Ok(left), Ok(right)) if left < right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{worker, worker_options};
    use rstest::rstest;
    use serde_json::{Value, json};

    fn of(server_limits: Value, options: Value) -> (Value, Value) {
        let mut worker = worker("13.16", "17.11");
        worker.server_limits = serde_json::from_value(server_limits).unwrap();
        let mut settings = worker_options();
        settings.programs_resources = serde_json::from_value(options).unwrap();
        let json = |resources: ResourceRequirements| serde_json::to_value(resources).unwrap();
        (json(worker.programs_resources(&settings)), json(worker.rehearsal_resources(&settings)))
    }

    #[rstest]
    #[case::of_a_database_without_limits(json!({}), json!({}))]
    #[case::of_the_databases(json!({ "cpu": "2", "memory": "8Gi" }), json!({ "cpu": "2", "memory": "8Gi" }))]
    #[case::of_a_small_database(json!({ "cpu": "50m", "memory": "256Mi" }), json!({ "cpu": "50m", "memory": "1Gi" }))]
    fn limits_of_programs_are_those_of_the_database(#[case] server: Value, #[case] expected: Value) {
        let (programs, rehearsal) = of(server, json!({ "requests": { "cpu": "100m", "memory": "256Mi" } }));
        assert_eq!(programs.get("limits").cloned().unwrap_or(json!({})), expected);
        let mut of_rehearsal = expected.clone();
        of_rehearsal["memory"] = json!("3Gi");
        assert_eq!(rehearsal["limits"], of_rehearsal);
        let cpu = if expected["cpu"] == "50m" { "50m" } else { "100m" };
        assert_eq!(programs["requests"], json!({ "cpu": cpu, "memory": "256Mi" }));
    }

    #[test]
    fn limits_of_the_installation_precede_the_databases() {
        let (programs, _) =
            of(json!({ "cpu": "2", "memory": "8Gi" }), json!({ "limits": { "memory": "3Gi" } }));
        assert_eq!(programs, json!({ "limits": { "cpu": "2", "memory": "3Gi" } }));
    }

    #[test]
    fn containers_have_limits_if_the_database_has() {
        let mut worker = worker("13.16", "17.11");
        worker.server_limits = serde_json::from_value(json!({ "cpu": "2", "memory": "8Gi" })).unwrap();
        let pod = worker.job(&worker_options()).unwrap().spec.unwrap().template.spec.unwrap();
        for container in pod.init_containers.into_iter().flatten().chain(pod.containers) {
            let limits = container.resources.and_then(|resources| resources.limits).unwrap_or_default();
            assert_eq!(limits.keys().collect::<Vec<_>>(), ["cpu", "memory"], "{}", container.name);
        }
    }
}

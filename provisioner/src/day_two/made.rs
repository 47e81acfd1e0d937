//! Whether the spec of a Postgres still has what a request has made of it, and which client has changed it if not. A GitOps tool
//! applies its manifest again as soon as the cluster differs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource;
use pgops_api::opsrequest::DayTwo;
use pgops_api::pod_template::{PodTemplate, with_resources};
use pgops_api::quantity::Quantity;
use pgops_api::settings::digest;
use pgops_api::{Postgres, PostgresOpsRequest};
use serde_json::Value;

use super::change::Replaced;
use crate::expansion::requested;
use crate::field_managers;

/// Whether the change that a request has made is still there. Of settings that are not recorded nothing is known.
pub fn is_made(
    database: &Postgres,
    request: &PostgresOpsRequest,
    operation: DayTwo,
    replaced: Option<&Replaced>,
) -> bool {
    match operation {
        DayTwo::Restart | DayTwo::RotateAuth => true,
        DayTwo::VerticalScaling => has_resources(database, request, replaced),
        DayTwo::VolumeExpansion => {
            let sizes = (parse(requested(database)), parse(request.spec.volume_size()));
            !matches!(sizes, (Some(now), Some(wanted)) if now < wanted)
        }
        DayTwo::Reconfigure => {
            let change = request.spec.configuration.as_ref();
            let named = change.and_then(|change| change.config_secret.as_ref()).map(|it| it.name.as_str());
            let now = database.settings_secret();
            let removes = change.is_some_and(|change| change.remove_custom_config);
            let has_secret = if named.is_some() || removes { named == now } else { true };
            let made = replaced.and_then(|replaced| replaced.made.as_deref());
            has_secret && made.is_none_or(|made| made == digest(database.inline_settings()))
        }
    }
}

/// Another webhook may have added amounts to those of the request: these alone do not count.
fn has_resources(database: &Postgres, request: &PostgresOpsRequest, replaced: Option<&Replaced>) -> bool {
    let wanted = request.spec.server_resources().cloned().unwrap_or_default();
    let Ok(template) = PodTemplate::parse(database.spec.pod_template.as_ref()) else { return true };
    let now = template.server.resources.unwrap_or_default();
    let before = replaced.and_then(|replaced| replaced.resources.as_ref()).map(of_json).unwrap_or_default();
    let is_as_before = same(&now, &before) && !same(&before, &wanted);
    contains(&now, &wanted) && !is_as_before
}

fn of_json(resources: &Value) -> ResourceRequirements {
    let template = with_resources(None, Some(resources));
    PodTemplate::parse(Some(&template)).ok().and_then(|it| it.server.resources).unwrap_or_default()
}

fn same(left: &ResourceRequirements, right: &ResourceRequirements) -> bool {
    contains(left, right) && contains(right, left)
}

fn contains(all: &ResourceRequirements, some: &ResourceRequirements) -> bool {
    has(all.requests.as_ref(), some.requests.as_ref()) && has(all.limits.as_ref(), some.limits.as_ref())
}

fn has(
    all: Option<&BTreeMap<String, resource::Quantity>>,
    some: Option<&BTreeMap<String, resource::Quantity>>,
) -> bool {
    some.into_iter().flatten().all(|(name, wanted)| {
        let found = all.and_then(|all| all.get(name)).map(|amount| amount.0.as_str());
        found == Some(wanted.0.as_str())
            || parse(found).is_some_and(|found| Some(found) == parse(Some(wanted.0.as_str())))
    })
}

fn parse(size: Option<&str>) -> Option<Quantity> {
    size?.parse().ok()
}

/// The fields that an operation changes, as users know them, and their names below the spec.
pub fn fields(operation: DayTwo) -> (&'static str, &'static [&'static str]) {
    match operation {
        DayTwo::Restart | DayTwo::RotateAuth => ("nothing", &[]),
        DayTwo::VerticalScaling => ("spec.podTemplate", &["podTemplate"]),
        DayTwo::VolumeExpansion => ("spec.storage", &["storage"]),
        DayTwo::Reconfigure => {
            ("spec.configSecret or spec.configuration", &["configSecret", "configuration"])
        }
    }
}

/// The client that has changed one of these fields of the spec last.
pub fn changed_by(database: &Postgres, fields: &[&str]) -> Option<String> {
    field_managers::changed_by(&database.metadata, fields, &[""])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use rstest::rstest;
    use serde_json::json;

    fn scaling(resources: &Value) -> PostgresOpsRequest {
        serde_json::from_value(json!({
            "metadata": { "name": "scale", "uid": "r-1" },
            "spec": {
                "type": "VerticalScaling", "databaseRef": { "name": "orders" },
                "verticalScaling": { "postgres": { "resources": resources } },
            },
        }))
        .unwrap()
    }

    #[rstest]
    #[case::as_requested(json!({ "requests": { "cpu": "500m" } }), true)]
    #[case::written_otherwise(json!({ "requests": { "cpu": 0.5 } }), true)]
    #[case::with_a_default(json!({ "requests": { "cpu": "500m", "memory": "1Gi" } }), true)]
    #[case::another_amount(json!({ "requests": { "cpu": "400m" } }), false)]
    #[case::nothing(Value::Null, false)]
    #[case::as_before(json!({ "requests": { "cpu": "500m" }, "limits": { "cpu": "1" } }), false)]
    fn requested_resources_count_unless_another_client_has_set_others(
        #[case] now: Value,
        #[case] expected: bool,
    ) {
        let template = json!({ "spec": { "containers": [{ "name": "postgres", "resources": now }] } });
        let before = json!({ "requests": { "cpu": "500m" }, "limits": { "cpu": "1" } });
        let replaced = Replaced { resources: Some(before), ..Replaced::default() };
        let request = scaling(&json!({ "requests": { "cpu": "500m" } }));
        let database = database(json!({ "podTemplate": template }));
        assert_eq!(is_made(&database, &request, DayTwo::VerticalScaling, Some(&replaced)), expected);
    }
}

//! The pod that the API server is asked about.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Pod, PodSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use pgops_api::{Postgres, names};

/// The pod that the workload's controller would create, under another name, and with a label by which nothing of the database
/// selects it. The owner is the same: a policy may refuse pods without one. With another image of the server, if one is given.
pub fn candidate(database: &Postgres, workload: &StatefulSet, image: Option<&str>) -> Pod {
    let spec = workload.spec.clone().unwrap_or_default();
    let claims = claim_volumes(workload, &spec);
    let template = spec.template;
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(names::pod_check(&database.name_any()));
    metadata.namespace = workload.namespace();
    metadata.owner_references = owner(workload).map(|owner| vec![owner]);
    let label = (names::LABEL_NAME.to_owned(), names::LABEL_NAME_POD_CHECK.to_owned());
    metadata.labels.get_or_insert_default().extend([label]);
    let mut pod: PodSpec = template.spec.unwrap_or_default();
    pod.volumes.get_or_insert_default().extend(claims);
    let server = pod.containers.iter_mut().find(|container| container.name == names::CONTAINER_POSTGRES);
    if let (Some(server), Some(image)) = (server, image) {
        server.image = Some(image.to_owned());
    }
    Pod { metadata, spec: Some(pod), status: None }
}

/// It does not keep the owner from being deleted, which would take a right of its own.
fn owner(workload: &StatefulSet) -> Option<OwnerReference> {
    let owner = workload.controller_owner_ref(&())?;
    Some(OwnerReference { block_owner_deletion: None, ..owner })
}

/// The volumes that the controller adds, one for each claim of the workload.
fn claim_volumes(workload: &StatefulSet, spec: &StatefulSetSpec) -> Vec<Volume> {
    let claims = spec.volume_claim_templates.iter().flatten();
    claims
        .filter_map(|claim| claim.metadata.name.as_deref())
        .map(|name| Volume {
            name: name.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: format!("{name}-{}-0", workload.name_any()),
                read_only: None,
            }),
            ..Volume::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{built, database, version};
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn candidate_is_the_next_pod_under_a_name_and_labels_that_nothing_selects() {
        let database = database(json!({ "podTemplate": { "metadata": { "labels": { "team": "shop" } } } }));
        let mut built = built(&database, &version("13.16", "13.16", None));
        built.workload.metadata.uid = Some("w".to_owned());
        let pod = candidate(&database, &built.workload, None);
        assert_eq!(pod.name_any(), "orders-pod-check");
        assert_eq!(pod.labels()["team"], "shop", "a policy may require it");
        let owner = &pod.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.block_owner_deletion),
            ("StatefulSet", "w", None)
        );
        let finds = |selector: BTreeMap<String, String>| {
            selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
        };
        let spec = built.workload.spec.unwrap();
        assert!(!finds(spec.selector.match_labels.unwrap()));
        assert!(!finds(built.budget.spec.unwrap().selector.unwrap().match_labels.unwrap()));
        for service in built.services {
            assert!(!finds(service.spec.unwrap().selector.unwrap()));
        }
        let next = spec.template.spec.unwrap();
        let tried = pod.spec.unwrap();
        assert_eq!(tried.containers, next.containers);
        let volumes: Vec<_> = tried.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
        let mut mounts = tried.containers[0].volume_mounts.iter().flatten();
        assert!(mounts.all(|mount| volumes.contains(&mount.name.as_str())), "{volumes:?}");
        let data = tried.volumes.iter().flatten().find(|volume| volume.name == "data").unwrap();
        assert_eq!(data.persistent_volume_claim.as_ref().unwrap().claim_name, "data-orders-0");
    }

    #[test]
    fn candidate_of_an_upgrade_has_its_image() {
        let workload = built(&database(json!({})), &version("13.16", "13.16", None)).workload;
        let images = |image| {
            let pod = candidate(&database(json!({})), &workload, image).spec.unwrap();
            pod.containers.into_iter().map(|it| (it.name, it.image.unwrap())).collect::<BTreeMap<_, _>>()
        };
        let (before, mut after) = (images(None), images(Some("registry.example/postgres:17.11")));
        assert_eq!(
            after.insert("postgres".to_owned(), before["postgres"].clone()).unwrap(),
            "registry.example/postgres:17.11"
        );
        assert_eq!(before, after, "no other container has it");
    }
}

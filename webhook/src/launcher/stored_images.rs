//! How the API server stores the images that a worker will set. Webhooks and policies rewrite those of a StatefulSet, and what a
//! worker may set is judged after that: so its plan must have them as they are stored.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, ResourceExt};
use pgops_api::matrix::Catalog;
use pgops_api::names::{ANNOTATION_IMAGE, CONTAINER_POSTGRES};
use pgops_api::{Owner, Postgres, PostgresOpsRequest, display_chain};
use pgops_kube::stored_image::{image_of, stored_image};

/// Asks the API server, by dry runs, if the workload has another image than the provisioner has applied.
pub async fn observe(
    workloads: &Api<StatefulSet>,
    request: &PostgresOpsRequest,
    database: &Postgres,
    workload: &StatefulSet,
    catalog: &Catalog,
) -> HashMap<String, String> {
    let mut stored = HashMap::new();
    if !is_rewritten(workload) || !Owner::of(database).owns(&workload.metadata) {
        return stored;
    }
    for image in images(request, database, catalog) {
        match stored_image(workloads, workload, CONTAINER_POSTGRES, &image).await {
            Ok(Some(as_stored)) => drop(stored.insert(image, as_stored)),
            Ok(None) => {}
            // For example a webhook that has no dry runs: nothing is known of its images.
            Err(error) => {
                tracing::warn!(request = request.name_any(), image, "{}", display_chain(&error));
            }
        }
    }
    stored
}

/// Whether the template has another image than was applied: also after an upgrade, until the provisioner has applied it.
fn is_rewritten(workload: &StatefulSet) -> bool {
    let applied = workload.annotations().get(ANNOTATION_IMAGE).map(String::as_str);
    applied.is_some() && applied != image_of(workload, CONTAINER_POSTGRES)
}

/// The catalog's images of the versions that the request is about.
fn images(request: &PostgresOpsRequest, database: &Postgres, catalog: &Catalog) -> BTreeSet<String> {
    let versions = [request.from_version(), Some(database.spec.version.as_str()), request.target()];
    let entries = versions.into_iter().flatten().filter_map(|version| catalog.get(version));
    entries.map(|entry| entry.version_ref.image.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{StateBuilder, catalog};
    use pgops_testing::fake_api_server::FakeApiServer;

    #[tokio::test]
    async fn api_server_is_asked_only_about_a_workload_that_was_rewritten() {
        let server = FakeApiServer::new("demo");
        let asked = async |applied: &str| {
            let mut state = StateBuilder::new().server_image("mirror/13.16").build();
            let workload = state.workload.as_mut().unwrap();
            workload.annotations_mut().insert(ANNOTATION_IMAGE.to_owned(), applied.to_owned());
            server.put(workload);
            let workloads = Api::namespaced(server.client(), "demo");
            let (database, workload) = (state.database.unwrap(), state.workload.unwrap());
            Box::pin(observe(&workloads, &state.request, &database, &workload, &catalog())).await
        };
        assert_eq!(asked("mirror/13.16").await, HashMap::new());
        let images = asked("postgres:13.16").await;
        assert!(images.contains_key("postgres:13.16") && images.contains_key("postgres:17.11"), "{images:?}");
    }
}

//! A workload whose image a webhook or policy has rewritten, as it was applied: else the rewritten image would be taken for one
//! that another client has set, and be kept for ever in place of the catalog's.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, Client, ResourceExt};
use pgops_api::names::{ANNOTATION_IMAGE, ANNOTATION_VERSION, CONTAINER_POSTGRES};
use pgops_api::{Postgres, PostgresVersion, display_chain};
use pgops_kube::stored_image::{image_of, stored_image};

/// The workload with the image that was applied, if the API server would store the present one for it; else the unchanged one.
pub async fn as_applied(
    client: &Client,
    database: &Postgres,
    entry: &PostgresVersion,
    workload: &StatefulSet,
) -> StatefulSet {
    let namespace = database.namespace().unwrap_or_default();
    let workloads: Api<StatefulSet> = Api::namespaced(client.clone(), &namespace);
    for image in candidates(&database.spec.version, &entry.spec.db.image, workload) {
        match stored_image(&workloads, workload, CONTAINER_POSTGRES, &image).await {
            Ok(stored) if stored.as_deref() == image_of(workload, CONTAINER_POSTGRES) => {
                return with_image(workload, image);
            }
            Ok(_) => {}
            // For example a webhook that has no dry runs: nothing is known of its images.
            Err(error) => tracing::debug!(namespace, image, "{}", display_chain(&error)),
        }
    }
    workload.clone()
}

/// The images that the present one may stand for; none if that makes no difference.
fn candidates(version: &str, catalog: &str, workload: &StatefulSet) -> Vec<String> {
    let current = image_of(workload, CONTAINER_POSTGRES);
    let annotations = workload.annotations();
    let Some(recorded) = annotations.get(ANNOTATION_IMAGE) else { return Vec::new() };
    let is_settled =
        recorded == catalog && annotations.get(ANNOTATION_VERSION).is_some_and(|of| of == version);
    if is_settled || current == Some(recorded) || current == Some(catalog) {
        return Vec::new();
    }
    let mut candidates = vec![catalog.to_owned(), recorded.clone()];
    candidates.dedup();
    candidates
}

fn with_image(workload: &StatefulSet, image: String) -> StatefulSet {
    let mut workload = workload.clone();
    let pod = workload.spec.as_mut().and_then(|spec| spec.template.spec.as_mut());
    let server = pod.and_then(|pod| pod.containers.iter_mut().find(|it| it.name == CONTAINER_POSTGRES));
    if let Some(server) = server {
        server.image = Some(image);
    }
    workload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{database, version, workload};
    use crate::image::choose;
    use pgops_api::names::ANNOTATION_INITIALIZED;
    use rstest::rstest;
    use serde_json::json;

    const OLD: &str = "registry.example/postgres:13.16";
    const NEXT: &str = "registry.example/postgres:13.23";
    const OLD_MIRRORED: &str = "mirror.example/postgres:13.16";
    const NEXT_MIRRORED: &str = "mirror.example/postgres:13.23";

    fn on(version: &str) -> Postgres {
        let mut database = database(json!({ "version": version }));
        database.annotations_mut().insert(ANNOTATION_INITIALIZED.into(), "2026-11-20T10:00:00Z".into());
        database
    }

    /// Built for 13.16, now with this image.
    fn running(image: &str) -> StatefulSet {
        with_image(&workload(&version("13.16", "13.16", None)), image.to_owned())
    }

    #[rstest]
    #[case::settled("13.16", OLD, OLD_MIRRORED, &[])]
    #[case::not_rewritten("13.16", "changed", OLD, &[])]
    #[case::not_rewritten_after_an_upgrade("13.23", NEXT, NEXT, &[])]
    #[case::after_an_upgrade("13.23", NEXT, NEXT_MIRRORED, &[NEXT, OLD])]
    #[case::catalog_changed("13.16", "changed", OLD_MIRRORED, &["changed", OLD])]
    fn api_server_is_asked_only_if_it_makes_a_difference(
        #[case] version: &str,
        #[case] catalog: &str,
        #[case] current: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(candidates(version, catalog, &running(current)), expected);
    }

    /// What is stored as the present image counts as applied, and so the catalog's image is not kept away.
    #[rstest]
    #[case::upgraded("13.23", NEXT, NEXT, None)]
    #[case::version_changed_by_hand("13.23", NEXT, OLD, None)]
    #[case::catalog_changed("13.16", "changed", OLD, Some("changed"))]
    fn rewritten_image_is_not_one_that_another_client_has_set(
        #[case] version: &str,
        #[case] catalog: &str,
        #[case] applied: &str,
        #[case] kept_instead_of: Option<&str>,
    ) {
        let choice = choose(&on(version), catalog, Some(&running(applied)));
        assert_eq!(choice.image, if kept_instead_of.is_some() { applied } else { catalog });
        assert_eq!(choice.kept_instead_of.map(|it| it.image).as_deref(), kept_instead_of);
    }
}

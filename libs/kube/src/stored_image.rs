//! How the API server stores an image of a StatefulSet: webhooks and policies rewrite images, to those of a mirror or to
//! digests, in the template of each StatefulSet too.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::api_error::ApiError;

/// What the API server would store if that container of the workload were given `image`. Nothing is stored.
pub async fn stored_image(
    api: &Api<StatefulSet>,
    workload: &StatefulSet,
    container: &str,
    image: &str,
) -> Result<Option<String>, ApiError> {
    let containers = json!([{ "name": container, "image": image }]);
    let change = Patch::Strategic(json!({
        "metadata": { "uid": workload.uid() },
        "spec": { "template": { "spec": { "containers": containers } } },
    }));
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let answer = api.patch(&workload.name_any(), &params, &change).await;
    let answer = answer.map_err(ApiError::on_object("dry-run a patch of", workload))?;
    Ok(image_of(&answer, container).map(ToOwned::to_owned))
}

/// The image of a container in the template of a workload.
#[must_use]
pub fn image_of<'a>(workload: &'a StatefulSet, container: &str) -> Option<&'a str> {
    let pod = workload.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.iter().find(|it| it.name == container)?.image.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_testing::fake_api_server::FakeApiServer;

    #[tokio::test]
    async fn image_is_asked_for_and_not_stored() {
        let server = FakeApiServer::new("demo");
        let workload: StatefulSet = serde_json::from_value(json!({
            "metadata": { "name": "orders", "namespace": "demo", "uid": "w" },
            "spec": { "selector": {}, "serviceName": "", "template": { "spec": { "containers": [
                { "name": "mesh", "image": "mesh:1" }, { "name": "postgres", "image": "postgres:13.16" },
            ] } } },
        }))
        .unwrap();
        server.put(&workload);
        let api: Api<StatefulSet> = Api::namespaced(server.client(), "demo");
        let stored = stored_image(&api, &workload, "postgres", "postgres:13.23").await.unwrap();
        assert_eq!(stored.as_deref(), Some("postgres:13.23"));
        let kept = server.get::<StatefulSet>("orders").unwrap();
        assert_eq!(image_of(&kept, "postgres"), Some("postgres:13.16"));
        let mut other = workload;
        other.metadata.uid = Some("of another one of its name".to_owned());
        assert!(stored_image(&api, &other, "postgres", "postgres:13.23").await.is_err());
    }
}

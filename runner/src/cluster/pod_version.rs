//! Which version a database's pod was made for: by its data directory, and by the revision of the StatefulSet's template. Never
//! because its image is another text: webhooks rewrite images of pods, to those of a mirror or to digests.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::{layout, names};

/// Label of a pod with the revision of the template that it was made from.
const REVISION_LABEL: &str = "controller-revision-hash";

/// What tells the pods of one version from those of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToldBy {
    /// The data directory: the versions have different ones, or every pod with this one is meant.
    DataDirectory,
    /// The pod template: both versions have the same data directory.
    Template,
}

/// A version, as its pods show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodVersion {
    /// Of its data directory.
    pub major: u32,
    /// As the template has it.
    pub image: String,
    pub told_by: ToldBy,
}

impl PodVersion {
    /// Whether the pod was made for this version. `revision` is that of the workload's template, if it is the version's and
    /// the controller has observed it.
    #[must_use]
    pub fn has_made(&self, pod: &Pod, revision: Option<&str>) -> bool {
        match pod.spec.as_ref().and_then(layout::pgdata_major) {
            Some(major) if major != self.major => false,
            Some(_) if self.told_by == ToldBy::DataDirectory => true,
            _ => has_image(pod, &self.image) || revision.is_some_and(|revision| is_of(pod, revision)),
        }
    }

    /// Whether the revision can change the answer of [`has_made`](Self::has_made).
    pub(super) fn needs_revision(&self, pod: &Pod) -> bool {
        let major = pod.spec.as_ref().and_then(layout::pgdata_major);
        major.is_none_or(|major| major == self.major) && !self.has_made(pod, None)
    }
}

fn has_image(pod: &Pod, image: &str) -> bool {
    let mut containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let container = containers.find(|container| container.name == names::CONTAINER_POSTGRES);
    container.and_then(|container| container.image.as_deref()) == Some(image)
}

/// Whether the pod was made from that revision of the template.
pub(super) fn is_of(pod: &Pod, revision: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(REVISION_LABEL)).is_some_and(|label| label == revision)
}

/// The revision of the workload's template; none until the controller has observed its latest change.
pub(super) fn template_revision(workload: &StatefulSet) -> Option<&str> {
    let status = workload.status.as_ref()?;
    let is_observed = status.observed_generation >= workload.metadata.generation;
    status.update_revision.as_deref().filter(|revision| is_observed && !revision.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const IMAGE: &str = "postgres:17.11";

    fn pod(image: &str, pgdata: Option<&str>, revision: &str) -> Pod {
        let env = pgdata.map(|pgdata| json!([{ "name": "PGDATA", "value": pgdata }]));
        serde_json::from_value(json!({
            "metadata": { "name": "orders-0", "labels": { REVISION_LABEL: revision } },
            "spec": { "containers": [{ "name": "postgres", "image": image, "env": env }] },
        }))
        .unwrap()
    }

    fn version(told_by: ToldBy) -> PodVersion {
        PodVersion { major: 17, image: IMAGE.to_owned(), told_by }
    }

    #[rstest]
    #[case::as_the_template_has_it(IMAGE, "orders-1", None, true)]
    #[case::by_a_mirror("mirror.example/postgres@sha256:17", "orders-2", Some("orders-2"), true)]
    #[case::of_an_older_template("mirror.example/postgres@sha256:17", "orders-1", Some("orders-2"), false)]
    #[case::of_a_template_not_observed("mirror.example/postgres@sha256:17", "orders-2", None, false)]
    #[case::as_the_version_with_a_later_template(IMAGE, "orders-1", Some("orders-2"), true)]
    fn pod_of_a_minor_release_is_known_by_the_revision_of_its_template(
        #[case] image: &str,
        #[case] label: &str,
        #[case] revision: Option<&str>,
        #[case] expected: bool,
    ) {
        let pod = pod(image, Some("/var/pv/17/data"), label);
        assert_eq!(version(ToldBy::Template).has_made(&pod, revision), expected);
        assert_eq!(version(ToldBy::Template).needs_revision(&pod), image != IMAGE);
    }

    #[test]
    fn pod_of_a_major_version_is_known_by_its_data_directory() {
        let version = version(ToldBy::DataDirectory);
        let made = |image, pgdata| version.has_made(&pod(image, pgdata, "orders-1"), Some("orders-2"));
        assert!(made("mirror.example/postgres@sha256:17", Some("/var/pv/17/data")));
        assert!(!made(IMAGE, Some("/var/pv/13/data")));
        // Of a pod without data directory only the template is known.
        assert!(made(IMAGE, None) && !made("mirror.example/postgres@sha256:17", None));
    }

    #[test]
    fn revision_is_known_once_the_controller_has_observed_the_template() {
        let workload = |generation: i64| -> StatefulSet {
            serde_json::from_value(json!({
                "metadata": { "generation": generation },
                "status": { "replicas": 1, "observedGeneration": 4, "updateRevision": "orders-2" },
            }))
            .unwrap()
        };
        assert_eq!(template_revision(&workload(4)), Some("orders-2"));
        assert_eq!(template_revision(&workload(5)), None);
        assert_eq!(template_revision(&StatefulSet::default()), None);
    }
}

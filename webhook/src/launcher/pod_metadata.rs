//! Labels and annotations that the pods of workers have in addition to those of pgops, from a flag.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;

/// Domains of labels by which pods are selected: with those of a database, its Service would send clients to a worker.
const RESERVED: [&str; 4] = ["app.kubernetes.io", "helm.sh", "kubedb.com", "pgops.dev"];

/// Labels and annotations, written as JSON: `{"labels":{"sidecar.istio.io/inject":"false"}}`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PodMetadata {
    /// Additional labels.
    pub labels: BTreeMap<String, String>,
    /// Additional annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Why the value of a flag cannot be the metadata of a worker's pod.
#[derive(Debug, thiserror::Error)]
pub enum ParsePodMetadataError {
    /// It is of another form.
    #[error("expected JSON such as {{\"labels\":{{\"sidecar.istio.io/inject\":\"false\"}}}}: {0}")]
    Malformed(serde_json::Error),
    /// The pod would be taken for another one.
    #[error("label \"{0}\": pods are selected by labels of this domain; use another one")]
    Reserved(String),
}

impl FromStr for PodMetadata {
    type Err = ParsePodMetadataError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let metadata: Self = serde_json::from_str(text).map_err(ParsePodMetadataError::Malformed)?;
        match metadata.labels.keys().find(|label| is_reserved(label)) {
            None => Ok(metadata),
            Some(label) => Err(ParsePodMetadataError::Reserved(label.clone())),
        }
    }
}

fn is_reserved(label: &str) -> bool {
    label.split_once('/').is_some_and(|(domain, _)| RESERVED.contains(&domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn metadata_is_that_of_the_flag() {
        let text = r#"{"labels":{"team":"dba"},"annotations":{"linkerd.io/inject":"disabled"}}"#;
        let metadata: PodMetadata = text.parse().unwrap();
        assert_eq!(metadata.labels["team"], "dba");
        assert_eq!(metadata.annotations["linkerd.io/inject"], "disabled");
        assert_eq!("{}".parse::<PodMetadata>().unwrap(), PodMetadata::default());
    }

    #[rstest]
    #[case::of_a_database(
        r#"{"labels":{"app.kubernetes.io/instance":"orders"}}"#,
        "app.kubernetes.io/instance"
    )]
    #[case::of_a_role(r#"{"labels":{"kubedb.com/role":"primary"}}"#, "kubedb.com/role")]
    #[case::misspelled(r#"{"label":{}}"#, "unknown field")]
    #[case::not_json("team=dba", "expected JSON")]
    fn metadata_that_is_not_for_a_worker_is_refused(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<PodMetadata>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

//! Labels and annotations of the pod.

use std::collections::BTreeMap;

use super::name::is_object_name;
use super::problem::{SpecProblem, SpecProblemReason};

/// Length of the longest name of a label, and of the longest value.
const MAX_LABEL: usize = 63;

/// Labels that a pod cannot have.
pub(super) fn check_labels(field: &str, labels: &BTreeMap<String, String>) -> Vec<SpecProblem> {
    let mut problems = invalid_keys(field, labels, is_key);
    for (key, value) in labels.iter().filter(|(_, value)| !value.is_empty() && !is_name(value)) {
        problems.push(SpecProblem::new(
            SpecProblemReason::InvalidPodTemplate,
            format!("{field}.{key}"),
            format!(
                "\"{}\" cannot be the value of a label: use at most {MAX_LABEL} letters, digits, '-', '_' and '.', starting \
                 and ending with a letter or digit",
                crate::bounded(value.as_str(), 100, "")
            ),
        ));
    }
    problems
}

/// Annotations that a pod cannot have. Their keys are not case-sensitive to the API server.
pub(super) fn check_annotations(field: &str, annotations: &BTreeMap<String, String>) -> Vec<SpecProblem> {
    invalid_keys(field, annotations, |key| is_key(&key.to_ascii_lowercase()))
}

fn invalid_keys(
    field: &str,
    entries: &BTreeMap<String, String>,
    is_valid: impl Fn(&str) -> bool,
) -> Vec<SpecProblem> {
    let invalid = entries.keys().filter(|key| !is_valid(key));
    let problem = |key: &String| {
        SpecProblem::new(
            SpecProblemReason::InvalidPodTemplate,
            field,
            format!(
                "\"{}\" cannot be a key: use at most {MAX_LABEL} letters, digits, '-', '_' and '.', after a domain in lower case \
                 and '/' if needed",
                crate::bounded(key.as_str(), 100, "")
            ),
        )
    };
    invalid.map(problem).collect()
}

/// Whether it can be the key of a label or of a taint.
pub(super) fn is_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_object_name) && is_name(name)
}

fn is_name(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= MAX_LABEL
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

//! Conditions in `KubeDB`'s form: with `severity`, and only type, status and time are required.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounded::bounded;

/// The longest message of a condition, in bytes: the API server refuses a longer one in `metav1.Condition`, and the
/// conditions of an object share the 1.5 MiB that etcd allows it.
pub const MAX_MESSAGE: usize = 32 << 10;

/// One condition of a `Postgres` or of a `PostgresOpsRequest`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Subject of the condition, such as `Ready` or a step's name.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` last changed.
    #[schemars(schema_with = "crate::schema::time")]
    pub last_transition_time: Time,
    /// The generation of the object to which the condition applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A `CamelCase` word for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Error`, `Warning`, `Info` or empty, as `KubeDB` defines it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
}

impl Condition {
    /// A condition that changes at `now`; [`set`] keeps the previous time if the status is unchanged. Of a message that is
    /// longer than [`MAX_MESSAGE`] the beginning is kept.
    pub fn new(type_: &str, status: &str, reason: &str, message: impl Into<String>, now: Time) -> Self {
        Self {
            type_: type_.to_owned(),
            status: status.to_owned(),
            last_transition_time: now,
            observed_generation: None,
            reason: Some(reason.to_owned()),
            message: Some(bounded(message, MAX_MESSAGE, "")),
            severity: None,
        }
    }

    /// Whether the status is `True`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// The condition of this type, if it exists.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Replaces the condition of the same type, or appends; the time is kept unless the status changes.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|condition| condition.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn message_of_a_condition_is_cut_at_the_limit_of_the_api() {
        let message =
            |length| Condition::new("Ready", "True", "Ready", "ä".repeat(length), at(1)).message.unwrap();
        assert_eq!(message(MAX_MESSAGE / 2).len(), MAX_MESSAGE);
        assert!(message(MAX_MESSAGE).len() <= MAX_MESSAGE);
    }

    #[test]
    fn transition_time_changes_only_with_the_status() {
        let mut conditions = vec![Condition::new("Ready", "False", "Starting", "starts", at(1))];
        set(&mut conditions, Condition::new("Ready", "False", "StillStarting", "starts", at(2)));
        assert_eq!(conditions[0].last_transition_time, at(1));
        assert_eq!(conditions[0].reason.as_deref(), Some("StillStarting"));
        set(&mut conditions, Condition::new("Ready", "True", "Ready", "answers", at(3)));
        assert_eq!(conditions[0].last_transition_time, at(3));
        assert_eq!(conditions.len(), 1);
    }
}

//! Conditions as `KubeDB` writes them: `severity` is known, and only type, status and time are required.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One condition of a `Postgres` or of a `PostgresOpsRequest`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, such as `Ready` or a step's name.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` last changed.
    #[schemars(schema_with = "crate::schema::time")]
    pub last_transition_time: Time,
    /// The generation of the object that this was observed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One `CamelCase` word for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Error`, `Warning`, `Info` or empty, as `KubeDB` knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
}

impl Condition {
    /// A condition that changes at `now`; [`set`] keeps the old time when nothing changed.
    pub fn new(type_: &str, status: &str, reason: &str, message: impl Into<String>, now: Time) -> Self {
        Self {
            type_: type_.to_owned(),
            status: status.to_owned(),
            last_transition_time: now,
            observed_generation: None,
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            severity: None,
        }
    }

    /// Whether the condition stands, that is, its status is `True`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// The condition of that type, if there is one.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Replaces the condition of the same type, or appends; the time stays unless the status changes.
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
    fn the_time_moves_only_when_the_status_changes() {
        let mut conditions = vec![Condition::new("Ready", "False", "Starting", "starts", at(1))];
        set(&mut conditions, Condition::new("Ready", "False", "StillStarting", "starts", at(2)));
        assert_eq!(conditions[0].last_transition_time, at(1));
        assert_eq!(conditions[0].reason.as_deref(), Some("StillStarting"));
        set(&mut conditions, Condition::new("Ready", "True", "Ready", "answers", at(3)));
        assert_eq!(conditions[0].last_transition_time, at(3));
        assert_eq!(conditions.len(), 1);
    }
}

//! Whether a `Postgres` may be removed: one pure decision.

use std::fmt;

use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Postgres, StorageRisk, names};
use pgops_kube::finalizers::has_finalizer;

use super::pause_holder::PauseHolder;
use crate::condition_types::CONDITION_VOLUME_AT_RISK;
use crate::unready::Unready;

/// What becomes of a `Postgres`.
#[derive(Clone, Debug, PartialEq)]
pub enum DeletionDecision {
    /// It was not deleted.
    Keep,
    /// It was deleted, and is kept for now.
    Blocked(DeletionBlocker),
    /// It is removed, with the objects that this policy names.
    Remove(DeletionPolicy),
    /// It waits for the finalizers of other controllers; the provisioner's part is done.
    Released,
}

/// Why an object that was deleted is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum DeletionBlocker {
    /// An upgrade may be working on the database; the message of its pause.
    Paused(String),
    /// The deletion policy.
    DoNotTerminate,
    /// The policy is to keep the data, which only the running pod does.
    VolumeAtRisk(StorageRisk),
    /// Its server has not ended, or objects of it still exist.
    NotEnding(Unready),
    /// The API server refuses a call that its removal needs: that call and the message.
    Refused(String),
}

impl DeletionBlocker {
    /// The reason of the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Paused(_) => "Paused",
            Self::DoNotTerminate => "DoNotTerminate",
            Self::VolumeAtRisk(_) => CONDITION_VOLUME_AT_RISK,
            Self::NotEnding(unready) => unready.reason,
            Self::Refused(_) => "DeletionRefused",
        }
    }
}

impl fmt::Display for DeletionBlocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(pause) => {
                write!(f, "the Postgres was deleted; it is removed as soon as it is no longer {pause}")
            }
            Self::DoNotTerminate => f.write_str(
                "the Postgres was deleted, but spec.deletionPolicy is DoNotTerminate, so it is kept and continues to \
                 serve: to remove it, set the policy to Halt (keeps claims and secret), Delete (keeps the secret) or \
                 WipeOut",
            ),
            Self::VolumeAtRisk(risk) => write!(
                f,
                "the Postgres was deleted, and spec.deletionPolicy is Halt, which keeps the data, but the volume may be lost when the \
                 pod stops: {risk}. To remove it with the data, set the policy to Delete"
            ),
            Self::NotEnding(unready) => {
                write!(f, "the Postgres was deleted, and its removal waits: {}", unready.message)
            }
            Self::Refused(words) => write!(
                f,
                "the Postgres was deleted, and the API server refuses what its removal needs: {words}. Correct what refuses \
                 it, such as a policy"
            ),
        }
    }
}

/// Decides what becomes of a `Postgres`.
pub fn decide(database: &Postgres, holder: PauseHolder) -> DeletionDecision {
    if database.metadata.deletion_timestamp.is_none() {
        return DeletionDecision::Keep;
    }
    if !has_finalizer(database, names::POSTGRES_FINALIZER) {
        return DeletionDecision::Released;
    }
    let pause = database.paused().filter(|_| holder == PauseHolder::Active);
    match (pause, database.deletion_policy()) {
        (Some(pause), _) => {
            let message = pause.message.clone().unwrap_or_else(|| "paused".to_owned());
            DeletionDecision::Blocked(DeletionBlocker::Paused(message))
        }
        (None, DeletionPolicy::DoNotTerminate) => DeletionDecision::Blocked(DeletionBlocker::DoNotTerminate),
        (None, policy) => DeletionDecision::Remove(policy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use pgops_api::Condition;
    use pgops_api::postgres::{CONDITION_PAUSED, PostgresStatus};
    use rstest::rstest;
    use serde_json::json;

    fn deleted(policy: &str) -> Postgres {
        let mut database = database(json!({ "deletionPolicy": policy }));
        database.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        database.metadata.finalizers = Some(vec!["other".into(), names::POSTGRES_FINALIZER.into()]);
        database
    }

    #[test]
    fn database_is_kept_unless_deleted_and_released_without_finalizer() {
        assert_eq!(decide(&database(json!({})), PauseHolder::Active), DeletionDecision::Keep);
        let mut released = deleted("WipeOut");
        released.metadata.finalizers = Some(vec!["other".into()]);
        assert_eq!(decide(&released, PauseHolder::Active), DeletionDecision::Released);
    }

    #[rstest]
    #[case("Halt", DeletionDecision::Remove(DeletionPolicy::Halt))]
    #[case("Delete", DeletionDecision::Remove(DeletionPolicy::Delete))]
    #[case("WipeOut", DeletionDecision::Remove(DeletionPolicy::WipeOut))]
    #[case("DoNotTerminate", DeletionDecision::Blocked(DeletionBlocker::DoNotTerminate))]
    fn deletion_follows_the_policy(#[case] policy: &str, #[case] expected: DeletionDecision) {
        assert_eq!(decide(&deleted(policy), PauseHolder::Active), expected);
    }

    #[test]
    fn database_is_never_removed_while_a_request_works_on_it() {
        let mut database = deleted("WipeOut");
        let message = "paused by PostgresOpsRequest orders-17 (uid 1) for the upgrade 13.16 to 17.11";
        let pause = Condition::new(CONDITION_PAUSED, "True", "Paused", message, Time(Timestamp::UNIX_EPOCH));
        database.status = Some(PostgresStatus { conditions: vec![pause], ..PostgresStatus::default() });
        let DeletionDecision::Blocked(blocker) = decide(&database, PauseHolder::Active) else {
            panic!("it would be removed")
        };
        assert!(blocker.to_string().contains("PostgresOpsRequest orders-17"), "{blocker}");
        let ended = PauseHolder::Ended;
        assert_eq!(decide(&database, ended), DeletionDecision::Remove(DeletionPolicy::WipeOut));
        database.spec.deletion_policy = Some(DeletionPolicy::DoNotTerminate);
        assert_eq!(decide(&database, ended), DeletionDecision::Blocked(DeletionBlocker::DoNotTerminate));
    }
}

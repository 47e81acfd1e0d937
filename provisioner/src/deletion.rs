//! The end of a database: what goes, what stays, and what is not allowed to go.

use std::fmt;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use pgops_api::plan::{pause_owner_name, pause_owner_uid};
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Postgres, PostgresOpsRequest, names};

use crate::apply::{ApiError, is_owned, on};
use crate::children;

/// What becomes of a `Postgres`.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Nobody has deleted it.
    Stays,
    /// It was deleted, and stays for now.
    Blocked(Block),
    /// It goes, and by this policy some of what belongs to it.
    Goes(DeletionPolicy),
    /// It waits for others; the provisioner's part is done.
    Done,
}

/// Why an object that was deleted stays.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Someone is at work on the database.
    Paused(String),
    /// Its deletion policy.
    DoNotTerminate,
}

impl Block {
    /// One word for machines.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Paused(_) => "Paused",
            Self::DoNotTerminate => "DoNotTerminate",
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(by) => write!(f, "it was deleted, and goes when it is no longer {by}"),
            Self::DoNotTerminate => f.write_str(
                "it was deleted, but spec.deletionPolicy is DoNotTerminate, so it stays and serves: to let it go, set \
                 the policy to Halt (claims and secret stay), Delete (the secret stays) or WipeOut",
            ),
        }
    }
}

/// Whoever has paused a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pauser {
    /// May be at work on it, as far as can be told.
    AtWork,
    /// Is a request that has ended, stuck perhaps, or is gone.
    Gone,
}

/// Looks for whoever has paused a database that was deleted.
pub async fn pauser(client: &Client, database: &Postgres) -> Result<Pauser, ApiError> {
    let message = database.paused().and_then(|pause| pause.message.as_deref()).unwrap_or_default();
    let named = pause_owner_name(message).zip(pause_owner_uid(message));
    let Some((name, uid)) = named.filter(|_| database.metadata.deletion_timestamp.is_some()) else {
        return Ok(Pauser::AtWork);
    };
    let namespace = database.namespace().unwrap_or_default();
    let requests: Api<PostgresOpsRequest> = Api::namespaced(client.clone(), &namespace);
    let request = requests.get_opt(name).await.map_err(on::<PostgresOpsRequest>("read", name))?;
    Ok(who_is(request.as_ref(), uid))
}

fn who_is(request: Option<&PostgresOpsRequest>, uid: &str) -> Pauser {
    match request {
        Some(request) if request.uid().as_deref() == Some(uid) && !request.phase().is_terminal() => {
            Pauser::AtWork
        }
        _ => Pauser::Gone,
    }
}

/// Decides what becomes of a `Postgres`.
pub fn fate(database: &Postgres, pauser: Pauser) -> Fate {
    if database.metadata.deletion_timestamp.is_none() {
        return Fate::Stays;
    }
    if !database.finalizers().iter().any(|finalizer| finalizer == names::POSTGRES_FINALIZER) {
        return Fate::Done;
    }
    match (database.paused().filter(|_| pauser == Pauser::AtWork), database.deletion_policy()) {
        (Some(pause), _) => {
            let by = pause.message.clone().unwrap_or_else(|| "paused".to_owned());
            Fate::Blocked(Block::Paused(by))
        }
        (None, DeletionPolicy::DoNotTerminate) => Fate::Blocked(Block::DoNotTerminate),
        (None, policy) => Fate::Goes(policy),
    }
}

/// Removes what the policy says; `false` as long as servers are still there.
///
/// The servers go first, so that they shut down cleanly while all that they use is there, and so
/// that a claim that stays is free when the object is gone.
pub async fn remove(
    client: &Client,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<bool, ApiError> {
    let name = database.name_any();
    let namespace = database.namespace().unwrap_or_default();
    if let Some(workload) = workload.filter(|workload| is_owned(*workload, database)) {
        if workload.metadata.deletion_timestamp.is_none() {
            tracing::info!(namespace, database = name, ?policy, "stopping the servers of a deleted database");
            delete::<StatefulSet>(client, &namespace, &name, &DeleteParams::foreground()).await?;
        }
        return Ok(false);
    }
    if matches!(policy, DeletionPolicy::Delete | DeletionPolicy::WipeOut) {
        for claim in claims(client, &namespace, &name).await? {
            tracing::info!(namespace, database = name, claim, "deleting the claim of a deleted database");
            delete::<PersistentVolumeClaim>(client, &namespace, &claim, &DeleteParams::default()).await?;
        }
    }
    let own_secret = names::auth_secret(&name);
    if policy == DeletionPolicy::WipeOut && database.auth_secret() == own_secret {
        delete::<Secret>(client, &namespace, &own_secret, &DeleteParams::default()).await?;
    }
    Ok(true)
}

/// Names of a database's claims: by label, and by name too, since a label is easily copied.
async fn claims(client: &Client, namespace: &str, database: &str) -> Result<Vec<String>, ApiError> {
    let selector: Vec<_> =
        children::labels(database).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let found = api.list_metadata(&ListParams::default().labels(&selector.join(","))).await.map_err(on::<
        PersistentVolumeClaim,
    >(
        "list", database,
    ))?;
    Ok(found.items.iter().map(ResourceExt::name_any).filter(|claim| is_claim_of(database, claim)).collect())
}

fn is_claim_of(database: &str, claim: &str) -> bool {
    let ordinal = claim.rsplit('-').next().and_then(|ordinal| ordinal.parse().ok());
    ordinal.is_some_and(|ordinal| names::claim(database, ordinal) == claim)
}

/// Deletes an object, unless it is gone already.
async fn delete<K>(client: &Client, namespace: &str, name: &str, how: &DeleteParams) -> Result<(), ApiError>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    match Api::<K>::namespaced(client.clone(), namespace).delete(name, how).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        done => done.map(drop).map_err(on::<K>("delete", name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::tests::database;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use pgops_api::Condition;
    use pgops_api::opsrequest::Phase;
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
    fn stays_unless_deleted_and_is_done_without_the_finalizer() {
        assert_eq!(fate(&database(json!({})), Pauser::AtWork), Fate::Stays);
        let mut released = deleted("WipeOut");
        released.metadata.finalizers = Some(vec!["other".into()]);
        assert_eq!(fate(&released, Pauser::AtWork), Fate::Done);
    }

    #[rstest]
    #[case("Halt", Fate::Goes(DeletionPolicy::Halt))]
    #[case("Delete", Fate::Goes(DeletionPolicy::Delete))]
    #[case("WipeOut", Fate::Goes(DeletionPolicy::WipeOut))]
    #[case("DoNotTerminate", Fate::Blocked(Block::DoNotTerminate))]
    fn goes_as_its_policy_says(#[case] policy: &str, #[case] expected: Fate) {
        assert_eq!(fate(&deleted(policy), Pauser::AtWork), expected);
    }

    #[test]
    fn never_goes_while_someone_is_at_work_on_it() {
        let mut database = deleted("WipeOut");
        let message = "paused by PostgresOpsRequest orders-17 (uid 1) for the upgrade 13.16 to 17.11";
        let pause = Condition::new(CONDITION_PAUSED, "True", "Paused", message, Time(Timestamp::UNIX_EPOCH));
        database.status = Some(PostgresStatus { conditions: vec![pause], ..PostgresStatus::default() });
        let Fate::Blocked(block) = fate(&database, Pauser::AtWork) else { panic!("it would go") };
        assert!(block.to_string().contains("PostgresOpsRequest orders-17"), "{block}");
        assert_eq!(fate(&database, Pauser::Gone), Fate::Goes(DeletionPolicy::WipeOut));
        database.spec.deletion_policy = Some(DeletionPolicy::DoNotTerminate);
        assert_eq!(fate(&database, Pauser::Gone), Fate::Blocked(Block::DoNotTerminate));
    }

    #[rstest]
    #[case::at_work("1", Phase::Progressing, Pauser::AtWork)]
    #[case::to_be_taken_up("1", Phase::Pending, Pauser::AtWork)]
    #[case::stuck("1", Phase::Failed, Pauser::Gone)]
    #[case::another_of_that_name("2", Phase::Progressing, Pauser::Gone)]
    fn a_pause_holds_as_long_as_its_request_works(
        #[case] uid: &str,
        #[case] phase: Phase,
        #[case] expected: Pauser,
    ) {
        let request = json!({
            "apiVersion": "ops.kubedb.com/v1alpha1",
            "kind": "PostgresOpsRequest",
            "metadata": {"name": "orders-17", "uid": uid},
            "spec": {"type": "UpdateVersion", "databaseRef": {"name": "orders"}},
            "status": {"phase": phase},
        });
        let request: PostgresOpsRequest = serde_json::from_value(request).unwrap();
        assert_eq!(who_is(Some(&request), "1"), expected);
        assert_eq!(who_is(None, "1"), Pauser::Gone);
    }

    #[rstest]
    #[case("data-orders-0", true)]
    #[case("data-orders-11", true)]
    #[case("data-orders-copy-0", false)]
    #[case("data-orders-", false)]
    #[case("data-orders-00", false)]
    #[case("backup-orders-0", false)]
    fn takes_no_claim_but_its_own(#[case] claim: &str, #[case] expected: bool) {
        assert_eq!(is_claim_of("orders", claim), expected);
    }
}

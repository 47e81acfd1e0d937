//! The loop: look at one `Postgres`, build what it asks for, say how it is.
//!
//! Watches carry metadata only and do nothing but wake the loop, which reads the objects themselves:
//! one object of a shape that nobody foresaw then harms no other, and no decision is made on an old
//! copy of a cache.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::postgres::{PostgresPhase, PostgresStatus};
use pgops_api::{Postgres, PostgresVersion, condition, names};
use serde_json::{Value, json};

use crate::apply::{ApiError, ApplyError, MANAGER, apply, is_owned, on, read};
use crate::children::{Images, children};
use crate::deletion::{self, Block, Fate};
use crate::design::{Problem, design};
use crate::secret;
use crate::status::{self, Observed};

/// What every reconciliation uses.
pub struct Context {
    /// Connection to the API server.
    pub client: Client,
    /// Publishes Events.
    pub recorder: Recorder,
    /// Images that are the same for every database.
    pub images: Images,
}

/// Pause before an object is looked at again although nothing woke the loop.
const RESYNC: Duration = Duration::from_mins(5);
/// The same, for an object with a problem.
const RECHECK: Duration = Duration::from_mins(1);
/// The same, for an object that was deleted while someone is at work on it.
const WAITING: Duration = Duration::from_secs(10);
/// The same, for an object whose servers are stopping.
const STOPPING: Duration = Duration::from_secs(1);

/// Brings the world nearer to what one `Postgres` asks for.
pub async fn reconcile(
    trigger: Arc<PartialObjectMeta<Postgres>>,
    context: Arc<Context>,
) -> Result<Action, ApiError> {
    let name = trigger.name_any();
    let namespace = trigger.namespace().unwrap_or_default();
    let databases: Api<Postgres> = Api::namespaced(context.client.clone(), &namespace);
    let workloads: Api<StatefulSet> = Api::namespaced(context.client.clone(), &namespace);
    // The workload first. It is written back only in the version read here, so an upgrade that paused
    // the database after the next line, and then changed the workload, is never overwritten.
    let workload = workloads.get_opt(&name).await.map_err(on::<StatefulSet>("read", &name))?;
    let mut database = match read::<Postgres>(&context.client, Some(&namespace), &name).await {
        Ok(Some(database)) => database,
        Ok(None) => return Ok(Action::await_change()),
        Err(error) if error.is_unreadable() => {
            let note = format!("the Postgres cannot be read: {}; correct that field", error.cause());
            context.complain(&trigger.object_ref(&()), "Unreadable", note).await;
            return Ok(Action::requeue(RECHECK));
        }
        Err(error) => return Err(error),
    };

    let fate = deletion::fate(&database, deletion::pauser(&context.client, &database).await?);
    if fate == Fate::Done {
        return Ok(Action::await_change());
    }
    if let Fate::Goes(policy) = fate {
        return if deletion::remove(&context.client, &database, workload.as_ref(), policy).await? {
            write(&databases, &database, &finalizers(&database, false)).await?;
            Ok(Action::await_change())
        } else {
            Ok(Action::requeue(STOPPING))
        };
    }

    let paused = database.paused().is_some();
    let mut problem = None;
    let mut workload = workload;
    if !paused {
        if fate == Fate::Stays && !has_finalizer(&database) {
            database = write(&databases, &database, &finalizers(&database, true)).await?;
        }
        match context.build(&database, workload.as_ref()).await {
            Ok(built) => workload = Some(built),
            Err(ApplyError::Problem(found)) => problem = Some(found),
            Err(ApplyError::Api(error)) => return Err(error),
        }
    }
    let blocked = if let Fate::Blocked(block) = &fate { Some(block) } else { None };
    let status = status::status(
        &database,
        &Observed {
            workload: workload.as_ref().filter(|workload| is_owned(*workload, &database)),
            problem: problem.as_ref(),
            blocked,
            now: Time(Timestamp::now()),
        },
    );
    context.tell(&databases, database, status, paused).await?;
    Ok(Action::requeue(match fate {
        // The end of whoever has paused it wakes nobody here.
        Fate::Blocked(Block::Paused(_)) => WAITING,
        _ if problem.is_some() => RECHECK,
        _ => RESYNC,
    }))
}

/// What to do after a failure: at once again if someone else was faster, else after a while.
pub fn retry(object: &PartialObjectMeta<Postgres>, error: &ApiError) -> Action {
    if error.is_conflict() {
        return Action::requeue(Duration::from_millis(200));
    }
    let namespace = object.namespace().unwrap_or_default();
    tracing::warn!(namespace, database = object.name_any(), cause = error.cause(), "{error}; trying again");
    Action::requeue(Duration::from_secs(5))
}

impl Context {
    /// Builds the children, and gives back the workload as it then is.
    async fn build(
        &self,
        database: &Postgres,
        workload: Option<&StatefulSet>,
    ) -> Result<StatefulSet, ApplyError> {
        if let Some(taken) = workload.filter(|workload| !is_owned(*workload, database)) {
            let kind = StatefulSet::kind(&()).into_owned();
            return Err(Problem::Taken { kind, name: taken.name_any() }.into());
        }
        let version = self.version(&database.spec.version).await?;
        let design = design(database, version.as_ref(), workload)?;
        let mut children = children(database, &design, &self.images);
        children.workload.metadata.resource_version = workload.and_then(ResourceExt::resource_version);
        let client = &self.client;
        secret::ensure(client, database).await?;
        apply(client, database, &children.account).await?;
        apply(client, database, &children.role).await?;
        apply(client, database, &children.binding).await?;
        for service in &children.services {
            apply(client, database, service).await?;
        }
        apply(client, database, &children.budget).await?;
        apply(client, database, &children.workload).await
    }

    /// The catalog's entry; a name that no object can have is not asked for.
    async fn version(&self, name: &str) -> Result<Option<PostgresVersion>, ApplyError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            return Ok(None);
        }
        read(&self.client, None, name).await.map_err(|error| {
            if error.is_unreadable() {
                Problem::UnreadableEntry { name: name.to_owned(), cause: error.cause() }.into()
            } else {
                error.into()
            }
        })
    }

    /// Writes the status, if it says anything new, and tells people of what is wrong.
    async fn tell(
        &self,
        databases: &Api<Postgres>,
        mut database: Postgres,
        status: PostgresStatus,
        paused: bool,
    ) -> Result<(), ApiError> {
        let ready = status.phase == Some(PostgresPhase::Ready);
        let annotated = database.annotations().contains_key(names::ANNOTATION_INITIALIZED);
        if ready && !annotated && !paused {
            let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let change = json!({ "metadata": { "annotations": { names::ANNOTATION_INITIALIZED: now } } });
            database = write(databases, &database, &change).await?;
        }
        if database.status.as_ref() == Some(&status) {
            return Ok(());
        }
        if database.phase() != status.phase.unwrap_or(PostgresPhase::Unknown) {
            let namespace = database.namespace().unwrap_or_default();
            let phase = status.phase.map(tracing::field::debug);
            tracing::info!(namespace, database = database.name_any(), phase, "database changed its phase");
        }
        // Only against the version that the status was made of: a pause that someone wrote meanwhile
        // makes a conflict, and is never lost.
        let name = database.name_any();
        let change = with_version(&database, json!({ "status": status }));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        databases
            .patch_status(&name, &params, &Patch::Merge(&change))
            .await
            .map_err(on::<Postgres>("write the status of", &name))?;
        self.warn(&database, &status).await;
        Ok(())
    }

    /// A Warning for each complaint that was not there before.
    async fn warn(&self, database: &Postgres, status: &PostgresStatus) {
        let complaints =
            [(status::CONDITION_PROVISIONING_STARTED, "False"), (status::CONDITION_DELETION_BLOCKED, "True")];
        for (type_, bad) in complaints {
            let Some(new) = condition::find(&status.conditions, type_).filter(|new| new.status == bad) else {
                continue;
            };
            let old = condition::find(database.conditions(), type_);
            if old.is_some_and(|old| old.status == new.status && old.message == new.message) {
                continue;
            }
            let (reason, note) =
                (new.reason.clone().unwrap_or_default(), new.message.clone().unwrap_or_default());
            self.complain(&database.object_ref(&()), &reason, note).await;
        }
    }

    /// One Warning, and its line in the log.
    async fn complain(&self, about: &ObjectReference, reason: &str, note: String) {
        let (namespace, database) = (about.namespace.as_deref(), about.name.as_deref());
        tracing::warn!(namespace, database, reason, "{note}");
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Provision".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, about).await {
            tracing::warn!(namespace, database, %error, "failed to publish an Event");
        }
    }
}

fn has_finalizer(database: &Postgres) -> bool {
    database.finalizers().iter().any(|finalizer| finalizer == names::POSTGRES_FINALIZER)
}

/// The finalizers with or without ours; those of others stay as they are.
fn finalizers(database: &Postgres, ours: bool) -> Value {
    let mut all = database.finalizers().to_vec();
    all.retain(|finalizer| finalizer != names::POSTGRES_FINALIZER);
    all.extend(ours.then(|| names::POSTGRES_FINALIZER.to_owned()));
    json!({ "metadata": { "finalizers": all } })
}

/// A change that fails if the object has changed since it was read.
fn with_version(database: &Postgres, mut change: Value) -> Value {
    change["metadata"]["resourceVersion"] = json!(database.resource_version());
    change
}

/// Changes a `Postgres` itself, if it is still as it was read.
async fn write(databases: &Api<Postgres>, database: &Postgres, change: &Value) -> Result<Postgres, ApiError> {
    let name = database.name_any();
    let change = with_version(database, change.clone());
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    databases.patch(&name, &params, &Patch::Merge(&change)).await.map_err(on::<Postgres>("change", &name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::tests::database;

    #[test]
    fn changes_no_finalizer_but_its_own() {
        let mut database = database(json!({}));
        database.metadata.resource_version = Some("7".into());
        database.metadata.finalizers = Some(vec!["other".into()]);
        let added = with_version(&database, finalizers(&database, true));
        assert_eq!(
            added,
            json!({ "metadata": { "finalizers": ["other", "kubedb.com"], "resourceVersion": "7" } })
        );
        database.metadata.finalizers = Some(vec!["kubedb.com".into(), "other".into()]);
        assert_eq!(finalizers(&database, false), json!({ "metadata": { "finalizers": ["other"] } }));
    }
}

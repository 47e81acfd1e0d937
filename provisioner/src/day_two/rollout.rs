//! What a restart of several servers rests on, which is read only while one is executed; and how Patroni is asked for a switchover.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, ResourceExt};
use pgops_api::rollout::{Commit, Lock, Observed, Patroni, SwitchoverRecord, Template, synchronous_standbys};
use pgops_api::{Owner, Postgres, names};
use pgops_kube::member::{member, reported};
use pgops_kube::{ApiError, patch};
use serde_json::json;

use crate::context::{Context, patch_params};
use crate::member_pods::member_pods;
use crate::restart;

/// The servers of a database with standbys.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Where Patroni keeps their state.
    pub scope: String,
    /// What a decision rests on; pods of the present template are current.
    pub observed: Observed,
}

/// Reads the servers of a database, if it has standbys.
pub async fn read(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<Option<Rollout>, ApiError> {
    let template = workload.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let scope = template.and_then(|metadata| metadata.labels.as_ref()?.get(names::LABEL_HA).cloned());
    let Some(scope) = scope else { return Ok(None) };
    let pods = member_pods(context, database, workload).await?;
    let servers = u32::try_from(database.replicas()).unwrap_or(1);
    let members = (0..servers).map(|ordinal| {
        let name = names::pod(&database.name_any(), ordinal);
        let pod = pods.iter().find(|pod| pod.name_any() == name);
        member(&name, pod, pod.map_or(Template::Unknown, |pod| template_of(workload, pod)))
    });
    let members = members.collect();
    let is_paused = pods.iter().any(|pod| reported(pod).is_paused);
    // In this order: a member that gets the lock removes the request for a switchover afterwards.
    let failover = record(context, database, names::ha_failover(&scope)).await?;
    let leader = record(context, database, names::ha_leader(&scope)).await?;
    let sync = record(context, database, names::ha_sync(&scope)).await?;
    let observed = Observed {
        members,
        lock: Lock::parse(annotations(leader.as_ref())),
        commit: Commit::new(synchronous_standbys(annotations(sync.as_ref())), database.streaming_mode()),
        switchover: SwitchoverRecord::parse(annotations(failover.as_ref())),
        patroni: if is_paused { Patroni::Paused } else { Patroni::Active },
    };
    Ok(Some(Rollout { scope, observed }))
}

/// Has Patroni make `to` the primary, unless it is asked for a switchover already.
pub async fn switch_over(
    context: &Context,
    database: &Postgres,
    scope: &str,
    record_of: &SwitchoverRecord,
) -> Result<(), ApiError> {
    let Some(found) = record(context, database, names::ha_failover(scope)).await? else { return Ok(()) };
    if SwitchoverRecord::parse(found.metadata.annotations.as_ref()).is_some() {
        return Ok(());
    }
    let change = json!({ "metadata": { "annotations": record_of.annotations() } });
    let config_maps = config_maps(context, database);
    patch::patch(&config_maps, "request a switchover in", &found, &patch_params(), change).await.map(drop)
}

fn template_of(workload: &StatefulSet, pod: &Pod) -> Template {
    match restart::outdated(workload, pod) {
        Some(_) => Template::Earlier,
        None => Template::Current,
    }
}

async fn record(context: &Context, database: &Postgres, name: String) -> Result<Option<ConfigMap>, ApiError> {
    let found = config_maps(context, database).get_opt(&name).await;
    let found = found.map_err(ApiError::on::<ConfigMap>("read", name))?;
    Ok(found.filter(|found| Owner::of(database).owns(&found.metadata)))
}

fn config_maps(context: &Context, database: &Postgres) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default())
}

fn annotations(record: Option<&ConfigMap>) -> Option<&std::collections::BTreeMap<String, String>> {
    record?.metadata.annotations.as_ref()
}

//! Does what was decided. Each write is conditioned on what was observed, and may be repeated.

use kube::api::Preconditions;
use kube::{Api, Resource, ResourceExt};
use pgops_api::opsrequest::{CONDITION_WAITING, PostgresOpsRequestStatus};
use pgops_api::rollout::SwitchoverRecord;
use pgops_api::{Postgres, PostgresOpsRequest, condition};
use pgops_kube::{ApiError, patch};
use serde_json::{Value, json};

use super::change;
use super::decide::{not_created, proposed_message};
use super::facts::Facts;
use super::password::{self, Change};
use super::plan::Stage;
use super::rollout;
use super::status;
use super::step::{CHANGE_REFUSED, NOT_CONFIRMED, Step, WITHDRAWN};
use crate::announcement::Announcement;
use crate::context::{Context, patch_params};
use crate::pod_deletion;
use crate::report::announce;

/// Records the step in the request, and then does it.
pub async fn perform(context: &Context, facts: &Facts<'_>, step: Step) -> Result<(), ApiError> {
    let after = status::after(facts, &step);
    let is_recorded = facts.request.status.as_ref() == Some(&after);
    if !is_recorded {
        write_status(context, facts.request, &after).await?;
        if let Some(announcement) = announcement(facts, &step) {
            announce(context, &facts.request.object_ref(&()), announcement).await;
        }
    }
    match step {
        Step::Propose(text) => propose_settings(context, facts, &text).await,
        Step::Change(stage) => make_change(context, facts, stage).await,
        Step::Revert(replaced) => {
            let change = change::revert(facts.database, facts.operation, &replaced);
            tell_refusal(context, facts, write_spec(context, facts, change).await).await
        }
        Step::Forget => {
            tell_refusal(context, facts, write_spec(context, facts, change::forget()).await).await
        }
        Step::DeletePod => tell_refusal(context, facts, delete_pod(context, facts).await).await,
        Step::DeleteMember { name, uid } => {
            tell_refusal(context, facts, delete_member(context, facts, &name, uid).await).await
        }
        Step::SwitchOver { from, to } => {
            tell_refusal(context, facts, switch_over(context, facts, &from, &to).await).await
        }
        Step::ProposePassword => propose_password(context, facts).await,
        Step::PromotePassword(id) => promote_password(context, facts, &id).await,
        Step::WithdrawPassword(id) => withdraw_password(context, facts, &id).await,
        Step::DiscardPassword { id, reason, message } => {
            discard_password(context, facts, &id, Step::End { reason, message }).await
        }
        Step::Wait(_)
        | Step::Begin { .. }
        | Step::Complete { .. }
        | Step::Fail { .. }
        | Step::Succeed { .. }
        | Step::End { .. } => Ok(()),
    }
}

/// Tells a write that the API server refuses. It is tried again.
async fn tell_refusal(
    context: &Context,
    facts: &Facts<'_>,
    written: Result<(), ApiError>,
) -> Result<(), ApiError> {
    match written {
        Err(error) if error.is_refused() => {
            let message = format!("{error}: the API server refuses it: {}", error.cause());
            Box::pin(perform(context, facts, Step::waiting(CHANGE_REFUSED, message))).await
        }
        written => written,
    }
}

/// Has the instance see settings. Those that the Postgres cannot hold, next to its other annotations, end the request.
async fn propose_settings(context: &Context, facts: &Facts<'_>, text: &str) -> Result<(), ApiError> {
    match write_spec(context, facts, change::propose(text)).await {
        Err(error) if error.is_inadmissible() => {
            let step = Step::failed(Stage::CheckSettings, CHANGE_REFUSED, error.cause());
            Box::pin(perform(context, facts, step)).await
        }
        written => tell_refusal(context, facts, written).await,
    }
}

/// Changes the spec. A change that admission would deny ends the request with the same message.
async fn make_change(context: &Context, facts: &Facts<'_>, stage: Stage) -> Result<(), ApiError> {
    let refused = |message: String| Step::failed(stage, CHANGE_REFUSED, message);
    let step = match change::apply(facts.database, facts.request, facts.operation) {
        Ok(None) => return Ok(()),
        Err(error) => refused(error.to_string()),
        Ok(Some(patch)) => match change::problems(facts.database, &patch) {
            Err(problems) => refused(problems),
            Ok(()) => match write_spec(context, facts, patch).await {
                Err(error) if error.is_refused() => refused(error.cause()),
                written => return written,
            },
        },
    };
    Box::pin(perform(context, facts, step)).await
}

/// Writes a new password next to the present one, and records which one. If it stops in between, the next attempt writes another
/// one, which the instance gives to the server again.
async fn propose_password(context: &Context, facts: &Facts<'_>) -> Result<(), ApiError> {
    let id = match password::propose(context, facts.database).await {
        Ok(id) => id,
        // Another Secret has the name by now.
        Err(error) if error.is_conflict() => {
            return Box::pin(perform(context, facts, not_created(facts, Stage::UpdatePassword))).await;
        }
        Err(error) if error.is_refused() => {
            let step = Step::failed(Stage::UpdatePassword, CHANGE_REFUSED, error.cause());
            return Box::pin(perform(context, facts, step)).await;
        }
        Err(error) => return Err(error),
    };
    let message = proposed_message(&id);
    Box::pin(perform(context, facts, Step::Begin { stage: Stage::UpdatePassword, message })).await
}

async fn promote_password(context: &Context, facts: &Facts<'_>, id: &str) -> Result<(), ApiError> {
    let step = match password::promote(context, facts.database, id).await {
        Ok(Change::Made) => Step::completed(Stage::UpdateSecret, "the Secret has the password of the server"),
        // By an earlier attempt, or another client: the instance will report which.
        Ok(Change::NotApplicable) => Step::waiting(
            NOT_CONFIRMED,
            "the instance has yet to see that the Secret has the password of the server",
        ),
        Err(error) => return tell_refusal(context, facts, Err(error)).await,
    };
    Box::pin(perform(context, facts, step)).await
}

async fn withdraw_password(context: &Context, facts: &Facts<'_>, id: &str) -> Result<(), ApiError> {
    match password::withdraw(context, facts.database, id).await {
        Ok(Change::Made | Change::NotApplicable) => {
            let message = "the kubelet takes the new password from the pod, which takes about a minute";
            Box::pin(perform(context, facts, Step::waiting(WITHDRAWN, message))).await
        }
        Err(error) => tell_refusal(context, facts, Err(error)).await,
    }
}

/// The password is not used any more: if it may not be removed, it stays.
async fn discard_password(context: &Context, facts: &Facts<'_>, id: &str, end: Step) -> Result<(), ApiError> {
    match password::discard(context, facts.database, id).await {
        Err(error) if !error.is_refused() => Err(error),
        _ => Box::pin(perform(context, facts, end)).await,
    }
}

async fn write_spec(context: &Context, facts: &Facts<'_>, change: Value) -> Result<(), ApiError> {
    let databases: Api<Postgres> = namespaced(context, facts);
    patch::patch(&databases, "change the spec of", facts.database, &patch_params(), change).await.map(drop)
}

async fn write_status(
    context: &Context,
    request: &PostgresOpsRequest,
    after: &PostgresOpsRequestStatus,
) -> Result<(), ApiError> {
    let requests: Api<PostgresOpsRequest> =
        Api::namespaced(context.client.clone(), &request.namespace().unwrap_or_default());
    let change = json!({ "status": after });
    patch::patch_status(&requests, "write the status of", request, &patch_params(), change).await.map(drop)
}

async fn delete_pod(context: &Context, facts: &Facts<'_>) -> Result<(), ApiError> {
    let Some(pod) = facts.pod() else { return Ok(()) };
    let namespace = facts.database.namespace().unwrap_or_default();
    pod_deletion::delete(context, &namespace, pod).await?;
    let request = facts.request.name_any();
    tracing::info!(namespace, pod = pod.name, request, "deleted the pod of a database for a request");
    Ok(())
}

async fn delete_member(
    context: &Context,
    facts: &Facts<'_>,
    name: &str,
    uid: String,
) -> Result<(), ApiError> {
    let namespace = facts.database.namespace().unwrap_or_default();
    pod_deletion::delete_named(
        context,
        &namespace,
        name,
        Preconditions { uid: Some(uid), resource_version: None },
    )
    .await?;
    let request = facts.request.name_any();
    tracing::info!(namespace, pod = name, request, "deleted the pod of a database for a request");
    Ok(())
}

async fn switch_over(context: &Context, facts: &Facts<'_>, from: &str, to: &str) -> Result<(), ApiError> {
    let Some(rollout) = &facts.rollout else { return Ok(()) };
    let namespace = facts.database.namespace().unwrap_or_default();
    tracing::info!(
        namespace,
        from,
        to,
        request = facts.request.name_any(),
        "asking Patroni for a switchover"
    );
    rollout::switch_over(context, facts.database, &rollout.scope, &SwitchoverRecord::new(from, to)).await
}

fn namespaced<K>(context: &Context, facts: &Facts<'_>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(context.client.clone(), &facts.database.namespace().unwrap_or_default())
}

/// The Event on the request.
fn announcement(facts: &Facts, step: &Step) -> Option<Announcement> {
    let is_known = |reason: &str| {
        let waiting = condition::find(facts.request.conditions(), CONDITION_WAITING);
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some(reason))
    };
    Some(match step {
        // Once for each reason.
        Step::Wait(Some(obstacle)) if !is_known(obstacle.reason) => {
            Announcement::normal(obstacle.reason, obstacle.message.clone())
        }
        Step::Begin { stage, message } | Step::Complete { stage, message, .. } => {
            Announcement::normal(&stage.to_string(), message.clone())
        }
        Step::Fail { reason, message, .. } | Step::End { reason, message } => {
            Announcement::warning(reason, message.clone())
        }
        Step::SwitchOver { from, to } => Announcement::normal(
            "Switchover",
            format!("asked Patroni to make {to} the primary instead of {from}"),
        ),
        Step::Succeed { message } => Announcement::normal("Successful", message.clone()),
        Step::Wait(_)
        | Step::Propose(_)
        | Step::Change(_)
        | Step::Revert(_)
        | Step::Forget
        | Step::DeletePod
        | Step::DeleteMember { .. }
        | Step::ProposePassword
        | Step::PromotePassword(_)
        | Step::WithdrawPassword(_)
        | Step::DiscardPassword { .. } => return None,
    })
}

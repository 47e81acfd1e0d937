//! Objects that have the name of a database's or a request's, and belong to another user.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use pgops_api::opsrequest::{CONDITION_SUCCESSFUL, CONDITION_WAITING};
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::{
    Cluster, DataSet, Namespace, NamespacedObject, UpgradeRequest, WebhookBypass, assert_upgraded, wait_for,
    with_namespace,
};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(1);

async fn create<K: NamespacedObject>(ns: &Namespace, object: Value) -> anyhow::Result<K> {
    let object = serde_json::from_value(object)?;
    ns.api::<K>().create(&PostParams::default(), &object).await.context("failed to create a foreign object")
}

/// The object is the one that was created, and its contents are the same.
async fn ensure_unchanged<K: NamespacedObject>(ns: &Namespace, before: &K) -> anyhow::Result<()> {
    let after = ns.api::<K>().get(&before.name_any()).await.context("a foreign object was deleted")?;
    let contents = |object: &K| {
        let mut object = serde_json::to_value(object).unwrap_or_default();
        object["status"] = Value::Null;
        // Written by Kubernetes' own controllers.
        for changing in ["managedFields", "resourceVersion"] {
            object["metadata"][changing] = Value::Null;
        }
        object
    };
    let (before, after) = (contents(before), contents(&after));
    ensure!(before == after, "a foreign object was changed: {before} became {after}");
    Ok(())
}

/// A StatefulSet called `orders` that another user runs: its container has the name of the database's.
fn foreign_stateful_set(cluster: &Cluster) -> Value {
    let labels = json!({"app": "another"});
    json!({
        "metadata": {"name": "orders"},
        "spec": {
            "serviceName": "another",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "postgres",
                    "image": format!("{}/postgres:13.16", cluster.registry),
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "env": [{"name": "PGDATA", "value": "/another/place"}],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            }},
        },
    })
}

#[tokio::test]
async fn foreign_stateful_set_is_not_upgraded() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let foreign: StatefulSet = create(ns, foreign_stateful_set(ns.cluster())).await?;
        let orders = ns.postgres("orders").version("13.16").create().await?;
        let is_refused = |found: Option<&Postgres>| {
            let started = found.and_then(|it| condition::find(it.conditions(), "ProvisioningStarted"));
            started.and_then(|it| it.reason.as_deref()) == Some("NameTaken")
        };
        wait_for(&ns.api(), orders.name(), "the reason NameTaken", TIMEOUT, is_refused).await?;
        for (name, annotation) in [("minor", "false"), ("dry", "true")] {
            let request = ns.upgrade(name).database("orders").to("13.23").field("apply", json!("Always"));
            let request = request.annotation(names::ANNOTATION_DRY_RUN, annotation).create().await?;
            let (reason, message) = request.wait_denied().await?;
            ensure!(reason == "NotProvisioned", "{reason}: {message}");
            ensure!(message.contains("StatefulSet orders does not belong to Postgres orders"), "{message}");
            ensure!(ns.jobs_of(name).await?.is_empty(), "{name} has a Job");
        }
        ensure_unchanged(ns, &foreign).await
    })
    .await
}

fn foreign_config_map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"report": "another user's", "journal": "not a journal"}})
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn foreign_report_is_left_alone() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;

        let of_dry_run: ConfigMap = create(ns, foreign_config_map(&names::report("check"))).await?;
        let check = ns.upgrade("check").database("orders").to("17.11");
        let check = check.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        ensure_report_elsewhere(ns, &check).await?;
        check.delete().await?;
        ensure_unchanged(ns, &of_dry_run).await?;

        // Its journal is in the report.
        let foreign: ConfigMap = create(ns, foreign_config_map(&names::report("minor"))).await?;
        let minor = ns.upgrade("minor").database("orders").to("13.23").create().await?;
        assert_upgraded(&orders, &minor, &before).await?;
        let report = ensure_report_elsewhere(ns, &minor).await?;
        let journal = report.data.and_then(|mut data| data.remove("journal")).unwrap_or_default();
        ensure!(journal.contains("VerifyDatabase"), "the journal is not in the report: {journal}");
        minor.delete().await?;
        ensure_unchanged(ns, &foreign).await
    })
    .await
}

/// The request succeeds, and its last condition names the report.
async fn ensure_report_elsewhere(ns: &Namespace, request: &UpgradeRequest) -> anyhow::Result<ConfigMap> {
    let ended = request.wait_successful().await?;
    let name = names::report_by_uid(request.name(), &ended.uid().context("no uid")?);
    let conditions = ended.status.context("the request has no status")?.conditions;
    let last = condition::find(&conditions, CONDITION_SUCCESSFUL).context("no condition Successful")?;
    let message = last.message.as_deref().unwrap_or_default();
    ensure!(message.contains(&format!("The report is in ConfigMap {name}")), "{message}");
    ns.api::<ConfigMap>().get(&name).await.context("the report does not exist")
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn foreign_secret_survives_wipe_out() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let auth = json!({
            "metadata": {"name": names::auth_secret("orders")},
            "stringData": {"username": "postgres", "password": "of-another-user"},
        });
        let secret: Secret = create(ns, auth).await?;
        // With the labels of the database's claims.
        let labels = [
            (names::LABEL_NAME, names::LABEL_NAME_VALUE),
            (names::LABEL_INSTANCE, "orders"),
            (names::LABEL_MANAGED_BY, names::LABEL_MANAGED_BY_VALUE),
        ];
        let labels: serde_json::Map<_, _> =
            labels.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
        let claim: PersistentVolumeClaim = create(
            ns,
            json!({
                "metadata": {"name": names::claim("orders", 7), "labels": labels},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }),
        )
        .await?;
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        ns.api::<Postgres>().delete(orders.name(), &DeleteParams::default()).await?;
        orders.wait_deleted().await?;
        let own = names::claim("orders", 0);
        wait_for(&ns.api::<PersistentVolumeClaim>(), &own, "the deletion", TIMEOUT, |claim| claim.is_none())
            .await?;
        ensure_unchanged(ns, &secret).await?;
        let kept = ns.api::<PersistentVolumeClaim>().get(&claim.name_any()).await?;
        ensure!(kept.metadata.deletion_timestamp.is_none(), "a claim of another user was deleted");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn foreign_objects_of_the_worker_are_not_adopted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        // It waits, so that its uid, and with it the names of its objects, can be read first.
        orders.pause().await?;
        let request = ns.upgrade("minor").database("orders").to("13.23");
        let bypass = WebhookBypass::open(ns).await?;
        let created = bypass.create(&request, std::slice::from_ref(&request)).await;
        bypass.close().await?;
        created?;
        let uid = ns.api::<PostgresOpsRequest>().get("minor").await?.uid().context("no uid")?;
        let name = names::job("minor", &uid);
        let worker = names::worker("minor", &uid);
        let binding: RoleBinding = create(
            ns,
            json!({
                "metadata": {"name": worker},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": ns.name()}],
            }),
        )
        .await?;
        let container = json!({
            "name": "runner", "image": format!("{}/postgres:13.16", ns.cluster().registry), "command": ["true"],
        });
        let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
        let job = json!({"metadata": {"name": name}, "spec": {"suspend": true, "template": template}});
        let job: Job = create(ns, job).await?;
        orders.resume().await?;

        wait_for_name_taken(ns, "RoleBinding").await?;
        ensure_unchanged(ns, &binding).await?;
        ensure_unchanged(ns, &job).await?;
        ns.api::<RoleBinding>().delete(&worker, &DeleteParams::default()).await?;
        wait_for_name_taken(ns, "Job").await?;
        ensure_unchanged(ns, &job).await?;
        ns.api::<Job>().delete(&name, &DeleteParams::background()).await?;
        assert_upgraded(&orders, &UpgradeRequest::new(ns.clone(), "minor"), &before).await
    })
    .await
}

async fn wait_for_name_taken(ns: &Namespace, kind: &str) -> anyhow::Result<()> {
    let waits = |found: Option<&PostgresOpsRequest>| {
        let status = found.and_then(|it| it.status.as_ref());
        let waiting = status.and_then(|status| condition::find(&status.conditions, CONDITION_WAITING));
        waiting.is_some_and(|it| {
            let message = it.message.as_deref().unwrap_or_default();
            it.reason.as_deref() == Some("NameTaken")
                && message.starts_with(&format!("{kind} "))
                && message.contains("minor-")
        })
    };
    wait_for(&ns.api(), "minor", &format!("the reason NameTaken for {kind}"), TIMEOUT, waits).await.map(drop)
}

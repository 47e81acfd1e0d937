//! What the API server lets each identity do: a worker only what its plan says, admission nothing but read.
//!
//! The worker is real, and so are its token and its rights; its image does not exist, so that it does nothing itself
//! meanwhile. Its writes are dry runs of the API server, which go through all of admission and are not stored.

mod identities;
mod idle_worker;

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PostParams};
use pgops_api::{Postgres, PostgresOpsRequest, names};
use pgops_e2e::identity::{Part, assert_refused};
use pgops_e2e::{Cluster, Namespace, eventually, wait_for};
use serde_json::json;

use idle_worker::{IdleWorker, paused};

const TIMEOUT: Duration = Duration::from_mins(2);
const MISSING: &str = "postgres:nosuch";

/// Runs a test with the name of a catalog entry whose image does not exist.
async fn with_missing_image(
    name: &str,
    test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let image = format!("{}/{MISSING}", cluster.registry);
    let spec = json!({ "version": "17.11", "db": { "image": image, "baseOS": "debian" } });
    cluster.with_catalog_entry(name, spec, async || cluster.with_namespace(test).await).await
}

#[tokio::test]
async fn worker_changes_only_what_its_plan_says() -> anyhow::Result<()> {
    with_missing_image("e2e-rights", async |ns| {
        let worker = IdleWorker::start(ns, "e2e-rights", false).await?;
        plan_is_allowed(&worker, "e2e-rights").await?;
        other_changes_of_the_workload_are_refused(&worker).await?;
        other_changes_of_the_database_are_refused(&worker).await?;
        other_reports_are_refused(&worker).await?;
        other_objects_are_refused(&worker).await?;
        rights_end_with_the_request(&worker).await
    })
    .await
}

/// Everything that an upgrade writes.
async fn plan_is_allowed(worker: &IdleWorker, target: &str) -> anyhow::Result<()> {
    let image = format!("{}/{MISSING}", worker.ns().cluster().registry);
    let node = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
        { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["a"] }] },
    ]}}});
    worker.workload(json!({ "spec": { "replicas": 0 } })).await.context("to stop the database")?;
    let directory = json!([{ "name": "PGDATA", "value": "/var/pv/17/data" }]);
    worker.server(json!({ "image": image, "env": directory })).await.context("to set image and directory")?;
    worker.pods(json!({ "affinity": node })).await.context("to require a node")?;
    worker.service(json!({ "spec": { "publishNotReadyAddresses": true } })).await.context("the Service")?;
    worker.postgres(Part::Main, json!({ "spec": { "version": target } })).await.context("the version")?;
    let pause = paused(&worker.uid);
    worker.add_condition(pause).await.context("to pause")?;
    worker.status(json!({ "step": "2/16 Preflight", "phase": "Progressing" })).await.context("the status")?;
    let report = names::report(worker.request.name());
    let report = worker.config_map(&report, &worker.uid);
    worker.identity.create::<ConfigMap>(report).await.context("the report")?;
    worker.identity.create::<Event>(worker.event(&worker.uid)).await.context("an Event")?;
    worker.identity.delete::<Pod>("orders-0").await.context("to delete the pod of the database")
}

async fn other_changes_of_the_workload_are_refused(worker: &IdleWorker) -> anyhow::Result<()> {
    let refused = |what: &str, result, reason: &str| assert_refused(what, result, reason);
    let metadata = "labels, annotations, owners";
    for (what, patch) in [
        ("a label", json!({ "labels": { "a": "b" } })),
        ("an annotation", json!({ "annotations": { "a": "b" } })),
        ("a finalizer", json!({ "finalizers": ["example.com/a"] })),
    ] {
        let result = worker.workload(json!({ "metadata": patch })).await;
        refused(&format!("{what} of the StatefulSet"), result, metadata)?;
    }
    let owners = Patch::Merge(json!({ "metadata": { "ownerReferences": null } }));
    let result = worker.identity.patch::<StatefulSet>("orders", Part::Main, &owners).await;
    refused("no owner of the StatefulSet", result, metadata)?;
    refused("more pods", worker.workload(json!({ "spec": { "replicas": 5 } })).await, "replicas")?;
    let claims = json!({ "persistentVolumeClaimRetentionPolicy": { "whenScaled": "Delete", "whenDeleted": "Delete" } });
    refused(
        "deletion of the claims",
        worker.workload(json!({ "spec": claims })).await,
        "claims of a StatefulSet retained",
    )?;
    let rolls = json!({ "updateStrategy": { "type": "RollingUpdate" } });
    refused("another strategy", worker.workload(json!({ "spec": rolls })).await, "only replicas")?;
    let label = json!({ "spec": { "template": { "metadata": { "labels": { "a": "b" } } } } });
    refused("a label of the pods", worker.workload(label).await, "labels and annotations of the pods")?;

    for (what, spec) in [
        ("another account", json!({ "serviceAccountName": "default" })),
        ("a token in every container", json!({ "automountServiceAccountToken": true })),
        ("the node's network", json!({ "hostNetwork": true })),
        ("a toleration", json!({ "tolerations": [{ "operator": "Exists" }] })),
        ("a volume", json!({ "volumes": [{ "name": "other", "secret": { "secretName": "other" } }] })),
        ("an init container", json!({ "initContainers": [{ "name": "a", "image": "a" }] })),
        (
            "the image of an init container",
            json!({ "initContainers": [{ "name": "install", "image": "a" }] }),
        ),
        ("another user", json!({ "securityContext": { "runAsUser": 0, "runAsNonRoot": false } })),
    ] {
        refused(what, worker.pods(spec).await, "affinity and the container postgres")?;
    }
    let with_pods = json!({ "affinity": { "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{ "topologyKey": "a" }],
    }}});
    refused("a pod affinity", worker.pods(with_pods).await, "node affinity")?;
    let sidecar = json!({ "containers": [{ "name": "other", "image": "a" }] });
    refused("another container", worker.pods(sidecar).await, "other containers")?;

    for (what, container) in [
        ("a command", json!({ "command": ["sh"] })),
        ("a mount", json!({ "volumeMounts": [{ "name": "auth", "mountPath": "/a" }] })),
        ("another port", json!({ "ports": [{ "containerPort": 22 }] })),
        ("privileges", json!({ "securityContext": { "allowPrivilegeEscalation": true } })),
    ] {
        refused(what, worker.server(container).await, "image and PGDATA")?;
    }
    let image = json!({ "image": "docker.io/library/postgres:latest" });
    refused("another image", worker.server(image).await, "two images of its plan")?;
    let variable = json!({ "env": [{ "name": "LD_PRELOAD", "value": "/a" }] });
    refused("another variable", worker.server(variable).await, "other variables than PGDATA")?;
    for (what, value) in [
        ("another data directory", json!({ "value": "/var/pv/99/data" })),
        (
            "a password as data directory",
            json!({ "value": null, "valueFrom": {
                "secretKeyRef": { "name": "orders-auth", "key": "password" },
            }}),
        ),
    ] {
        let mut variable = value;
        variable["name"] = json!("PGDATA");
        refused(what, worker.server(json!({ "env": [variable] })).await, "PGDATA")?;
    }
    refused(
        "deletion of the workload",
        worker.identity.delete::<StatefulSet>("orders").await,
        "cannot delete",
    )
}

async fn other_changes_of_the_database_are_refused(worker: &IdleWorker) -> anyhow::Result<()> {
    for (what, patch, reason) in [
        ("another version", json!({ "spec": { "version": "15.18" } }), "target of its plan"),
        ("the deletion policy", json!({ "spec": { "deletionPolicy": "Delete" } }), "only spec.version"),
        ("the password", json!({ "spec": { "authSecret": { "name": "a" } } }), "only spec.version"),
        ("a label", json!({ "metadata": { "labels": { "a": "b" } } }), "labels, annotations"),
        (
            "the claim",
            json!({ "metadata": { "annotations": { names::ANNOTATION_CLAIM: null } } }),
            "labels, annotations",
        ),
        (
            "a guard",
            json!({ "metadata": { "annotations": { names::ANNOTATION_OVERRIDE: "true" } } }),
            "labels, annotations",
        ),
        ("the finalizer", json!({ "metadata": { "finalizers": [] } }), "finalizers"),
    ] {
        assert_refused(what, worker.postgres(Part::Main, patch).await, reason)?;
    }
    let phase = json!({ "status": { "phase": "NotReady" } });
    assert_refused("the phase", worker.postgres(Part::Status, phase).await, "only conditions")?;
    let result = worker.add_condition(paused("00000000-another")).await;
    assert_refused("a pause for another request", result, "only for its own request")?;
    let none = json!({ "status": { "conditions": [] } });
    assert_refused("no conditions", worker.postgres(Part::Status, none).await, "only the condition Paused")?;

    for (what, spec) in [
        ("another selector", json!({ "selector": { "a": "b" } })),
        ("a name outside", json!({ "type": "ExternalName", "externalName": "example.com" })),
        ("addresses outside", json!({ "externalIPs": ["10.0.0.1"] })),
    ] {
        assert_refused(what, worker.service(json!({ "spec": spec })).await, "only publishNotReadyAddresses")?;
    }
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    assert_refused("a label of the Service", worker.service(label).await, "labels, annotations")
}

async fn other_reports_are_refused(worker: &IdleWorker) -> anyhow::Result<()> {
    for (what, status, reason) in [
        ("another source", json!({ "from": "17.11" }), "version that the database had"),
        ("a phase of admission", json!({ "phase": "Denied" }), "only the phases"),
    ] {
        assert_refused(what, worker.status(status).await, reason)?;
    }
    let annotations =
        Patch::Merge(json!({ "metadata": { "annotations": { names::ANNOTATION_RESUME: "true" } } }));
    let result =
        worker.identity.patch::<PostgresOpsRequest>(worker.request.name(), Part::Main, &annotations).await;
    assert_refused("an annotation of the request", result, "cannot patch")?;
    let status = Patch::Merge(json!({ "status": { "phase": "Successful" } }));
    let result = worker.identity.patch::<PostgresOpsRequest>("another", Part::Status, &status).await;
    assert_refused("the status of another request", result, "cannot patch")?;

    let another = worker.config_map("kube-root-ca.crt-2", &worker.uid);
    let result = worker.identity.create::<ConfigMap>(another).await;
    assert_refused("another ConfigMap", result, "only the report of its request")?;
    let report = names::report(worker.request.name());
    let unowned = worker.config_map(&report, "00000000-another");
    let result = worker.identity.create::<ConfigMap>(unowned).await;
    assert_refused("a report of another owner", result, "that its request owns")?;
    let foreign: ConfigMap =
        serde_json::from_value(json!({ "metadata": { "name": report }, "data": { "a": "b" } }))?;
    worker.ns().api::<ConfigMap>().create(&PostParams::default(), &foreign).await?;
    let adopt = Patch::Merge(worker.config_map(&report, &worker.uid));
    let result = worker.identity.patch::<ConfigMap>(&report, Part::Main, &adopt).await;
    assert_refused("a ConfigMap of a user", result, "that its request owns")?;
    worker.ns().api::<ConfigMap>().delete(&report, &DeleteParams::default()).await?;

    let database = worker.database.object().await?.uid().unwrap_or_default();
    let result = worker.identity.create::<Event>(worker.event(&database)).await;
    assert_refused("an Event on the database", result, "only on its own request")
}

/// What the Role does not name.
async fn other_objects_are_refused(worker: &IdleWorker) -> anyhow::Result<()> {
    let secrets = worker.identity.api::<Secret>();
    assert_refused("a password", secrets.get("orders-auth").await.map(drop), "cannot get")?;
    assert_refused("all passwords", secrets.list(&ListParams::default()).await.map(drop), "cannot list")?;
    let pods = worker.identity.api::<Pod>();
    assert_refused("all pods", pods.list(&ListParams::default()).await.map(drop), "cannot list")?;
    let own = worker.request.wait_runner_pods().await?;
    let own = own.first().context("the worker has no pod")?.name_any();
    assert_refused("its own pod", worker.identity.delete::<Pod>(&own).await, "cannot delete")?;
    let pod =
        json!({ "metadata": { "name": "a" }, "spec": { "containers": [{ "name": "a", "image": "a" }] } });
    assert_refused("a pod", worker.identity.create::<Pod>(pod).await, "cannot create")?;
    let account = names::worker(worker.request.name(), &worker.uid);
    let more = Patch::Merge(json!({ "rules": [] }));
    let result = worker.identity.patch::<Role>(&account, Part::Main, &more).await;
    assert_refused("its own Role", result, "cannot patch")
}

/// A token that was obtained before is of no use afterwards.
async fn rights_end_with_the_request(worker: &IdleWorker) -> anyhow::Result<()> {
    let ns = worker.ns();
    let account = names::worker(worker.request.name(), &worker.uid);
    let annotation = format!("{}=true", names::ANNOTATION_CANCEL);
    ns.kubectl(&["annotate", "pgops", worker.request.name(), &annotation], None).await?.succeeded()?;
    worker.request.wait_ended().await?;
    wait_for(&ns.api::<ServiceAccount>(), &account, "the deletion", TIMEOUT, |it| it.is_none()).await?;
    ensure!(ns.api::<Role>().get_opt(&account).await?.is_none(), "the Role outlives the request");
    ensure!(ns.api::<RoleBinding>().get_opt(&account).await?.is_none(), "the binding outlives the request");
    // The authorizer of the API server learns of the deletions a moment later.
    eventually("the end of the rights", TIMEOUT, async || {
        let result = worker.identity.api::<Postgres>().get("orders").await.map(drop);
        assert_refused("a read after the request has ended", result, "")
    })
    .await
}

#[tokio::test]
async fn worker_of_a_dry_run_changes_nothing_but_its_request() -> anyhow::Result<()> {
    with_missing_image("e2e-rights-dry", async |ns| {
        let worker = IdleWorker::start(ns, "e2e-rights-dry", true).await?;
        worker.identity.api::<Postgres>().get("orders").await.context("to read the database")?;
        worker.status(json!({ "step": "1/2 CopiedOldBinaries" })).await.context("the status")?;
        let report = worker.config_map(&names::report(worker.request.name()), &worker.uid);
        worker.identity.create::<ConfigMap>(report).await.context("the report")?;
        worker.identity.create::<Event>(worker.event(&worker.uid)).await.context("an Event")?;

        let refused = |what: &str, result| assert_refused(what, result, "cannot");
        refused("to stop the database", worker.workload(json!({ "spec": { "replicas": 0 } })).await)?;
        let version = json!({ "spec": { "version": "e2e-rights-dry" } });
        refused("the version", worker.postgres(Part::Main, version).await)?;
        refused("a pause", worker.add_condition(paused(&worker.uid)).await)?;
        refused(
            "the Service",
            worker.service(json!({ "spec": { "publishNotReadyAddresses": true } })).await,
        )?;
        refused("the pod", worker.identity.delete::<Pod>("orders-0").await)?;
        // Otherwise its Job, created again, would have the rights of an upgrade.
        let upgrade = worker.status(json!({ "conditions": [] })).await;
        assert_refused("an upgrade instead of a dry run", upgrade, "may not turn a dry run into an upgrade")?;
        rights_end_with_the_request(&worker).await
    })
    .await
}

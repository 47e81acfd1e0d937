//! What the identities of admission and launcher may do.

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use pgops_e2e::identity::may;
use pgops_e2e::{Namespace, with_namespace};
use serde_json::{Value, json};

/// Of the identities of pgops, only the launcher may create a worker, and none may use the rights of one.
#[tokio::test]
async fn admission_only_reads_and_launcher_only_launches() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let cluster = ns.cluster();
        let user = |component: &str| format!("system:serviceaccount:{}:pgops-{component}", cluster.system);
        let writes = ["create", "update", "patch", "delete"];
        for (group, resource) in [
            ("", "pods"),
            ("", "secrets"),
            ("", "configmaps"),
            ("", "serviceaccounts"),
            ("apps", "statefulsets"),
            ("batch", "jobs"),
            ("kubedb.com", "postgreses"),
            ("kubedb.com", "postgreses/status"),
            ("ops.kubedb.com", "postgresopsrequests"),
            ("ops.kubedb.com", "postgresopsrequests/status"),
            ("rbac.authorization.k8s.io", "rolebindings"),
            ("coordination.k8s.io", "leases"),
        ] {
            for verb in writes {
                for namespace in [ns.name(), &cluster.system] {
                    let allowed = may(cluster, &user("webhook"), verb, group, resource, namespace).await?;
                    ensure!(!allowed, "admission may {verb} {resource} in {namespace}");
                }
            }
        }
        for component in ["webhook", "launcher", "provisioner"] {
            for verb in ["get", "list", "watch"] {
                let allowed = may(cluster, &user(component), verb, "", "secrets", ns.name()).await?;
                ensure!(!allowed, "the {component} may {verb} Secrets");
            }
        }
        ensure!(may(cluster, &user("launcher"), "create", "batch", "jobs", ns.name()).await?);
        launcher_uses_no_right_of_a_worker(ns, &user("launcher")).await
    })
    .await
}

/// By impersonation: RBAC lets it grant these rights, and the policy keeps it from using them.
async fn launcher_uses_no_right_of_a_worker(ns: &Namespace, launcher: &str) -> anyhow::Result<()> {
    let owner = json!([{ "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest", "name": "a",
        "uid": "a", "controller": true }]);
    let metadata = json!({ "name": "pgops-worker-a", "ownerReferences": owner });
    ns.postgres("orders").version("13.16").ready().await?;
    let user = format!("--as={launcher}");
    let refused = async |what: &str, args: &[&str], input: Option<&str>, reason: &str| {
        let mut all = vec![user.as_str(), "--dry-run=server"];
        all.splice(0..0, args.iter().copied());
        let output = ns.kubectl(&all, input).await?;
        ensure!(!output.success, "the launcher may {what}: {}", output.stdout);
        ensure!(output.stderr.contains(reason), "{what}: expected {reason:?} in {}", output.stderr);
        anyhow::Ok(())
    };
    let worker = "only a worker may do this";
    refused("stop a database", &["patch", "sts", "orders", "-p", r#"{"spec":{"replicas":0}}"#], None, worker)
        .await?;
    let image = r#"{"spec":{"template":{"spec":{"containers":[{"name":"postgres","image":"a"}]}}}}"#;
    let asks = ["patch", "sts", "orders", "-p", image, user.as_str(), "--dry-run=server"];
    ns.kubectl(&asks, None)
        .await?
        .succeeded()
        .context("the launcher cannot learn how images are rewritten")?;
    refused("delete a pod", &["delete", "pod", "orders-0"], None, worker).await?;
    let version = r#"{"spec":{"version":"17.11"}}"#;
    let patch = ["patch", "postgreses.kubedb.com", "orders", "--type", "merge", "-p"];
    refused("set a version", &[&patch[..], &[version]].concat(), None, "may neither create, change").await?;
    let annotation = r#"{"metadata":{"annotations":{"pgops.dev/override-guards":"true"}}}"#;
    refused(
        "lift a guard",
        &[&patch[..], &[annotation]].concat(),
        None,
        "only the annotation pgops.dev/claim",
    )
    .await?;
    let account = |name: &str, owners: &Value| {
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "ownerReferences": owners } })
            .to_string()
    };
    let create = ["create", "-f", "-"];
    let other = account("other", &owner);
    refused("make another account", &create, Some(&other), "only the service accounts and roles of workers")
        .await?;
    let unowned = account("pgops-worker-a", &json!([]));
    refused(
        "make an account without a request",
        &create,
        Some(&unowned),
        "only what a PostgresOpsRequest owns",
    )
    .await?;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "a", "ownerReferences": owner },
        "spec": { "template": { "spec": { "restartPolicy": "Never", "serviceAccountName": "orders",
            "containers": [{ "name": "a", "image": "a" }] } } },
    })
    .to_string();
    refused(
        "make a Job with another identity",
        &create,
        Some(&job),
        "only Jobs with the service account of a worker",
    )
    .await?;
    let any_pod = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }]);
    let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
        "rules": any_pod })
    .to_string();
    refused("grant rights on any object", &create, Some(&role), "rights on named objects only").await?;
    // Of a type that pgops leaves alone.
    let request = json!({ "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
        "metadata": { "name": "other", "namespace": ns.name() },
        "spec": { "type": "ReconnectStandby", "databaseRef": { "name": "orders" } } });
    ns.accepts(&request).await?;
    let patch = ["patch", "postgresopsrequests.ops.kubedb.com", "other", "--type", "merge", "-p"];
    let other_database = r#"{"spec":{"databaseRef":{"name":"payments"}}}"#;
    refused("turn a request", &[&patch[..], &[other_database]].concat(), None, "spec is immutable").await?;
    let label = r#"{"metadata":{"labels":{"a":"b"}}}"#;
    refused("label a request", &[&patch[..], &[label]].concat(), None, "may not change labels or owners")
        .await?;
    ensure!(ns.api::<Job>().list(&ListParams::default()).await?.items.is_empty(), "a dry run was stored");
    Ok(())
}

//! Policies that give the servers of a namespace the images of a mirror, as admission webhooks do.
//!
//! The mirror's images are other names of the test images in the node's containerd, and a `MutatingAdmissionPolicy` rewrites: the
//! API server of `tests/cluster` has that feature on.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::fault_injection::Node;
use crate::namespace::Namespace;

/// The registry of the mirror.
pub const MIRROR: &str = "mirror.pgops.dev";
/// A policy takes a second or two to have an effect.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The objects whose images are rewritten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rewritten {
    /// Pods alone.
    Pods,
    /// The template of each `StatefulSet`, too.
    PodsAndStatefulSets,
}

/// A policy for each kind of object, which exists until it is deleted.
pub struct ImageRewriting {
    policies: Vec<String>,
}

impl ImageRewriting {
    /// Gives the images of those tags their other names, and creates the policies.
    pub async fn create(
        node: &Node,
        ns: &Namespace,
        tags: &[&str],
        rewritten: Rewritten,
    ) -> anyhow::Result<Self> {
        let registry = &ns.cluster().registry;
        tag_images(node, registry, tags)?;
        let mut created = Self { policies: Vec::new() };
        if let Err(error) = created.create_policies(ns, rewritten).await {
            created.delete(ns).await?;
            return Err(error);
        }
        Ok(created)
    }

    async fn create_policies(&mut self, ns: &Namespace, rewritten: Rewritten) -> anyhow::Result<()> {
        let registry = ns.cluster().registry.clone();
        let mut rules = vec![("pods", pods(&registry))];
        if rewritten == Rewritten::PodsAndStatefulSets {
            rules.push(("statefulsets", stateful_sets(&registry)));
        }
        for (kind, spec) in rules {
            let name = format!("{}-mirror-{kind}", ns.name());
            let api = "admissionregistration.k8s.io/v1beta1";
            let policy = json!({
                "apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": { "name": name }, "spec": spec,
            });
            self.policies.push(name.clone());
            ns.accepts(&policy).await.context("is MutatingAdmissionPolicy v1beta1 served?")?;
            let namespace = json!({ "matchLabels": { "kubernetes.io/metadata.name": ns.name() } });
            let binding = json!({
                "apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": { "name": name },
                "spec": { "policyName": name, "matchResources": { "namespaceSelector": namespace } },
            });
            ns.accepts(&binding).await?;
            wait_until_effective(ns, kind).await?;
        }
        Ok(())
    }

    /// Deletes the policies.
    pub async fn delete(self, ns: &Namespace) -> anyhow::Result<()> {
        for name in &self.policies {
            for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
                ns.kubectl(&["delete", kind, name, "--ignore-not-found"], None).await?.succeeded()?;
            }
        }
        Ok(())
    }
}

fn tag_images(node: &Node, registry: &str, tags: &[&str]) -> anyhow::Result<()> {
    for tag in tags {
        let names = [registry, MIRROR].map(|registry| format!("{registry}/postgres:{tag}"));
        let tagged = Command::new("ctr")
            .args(["--namespace", "k8s.io", "--address"])
            .arg(node.containerd_socket())
            .args(["image", "tag", "--force", &names[0], &names[1]])
            .output()
            .context("failed to run ctr")?;
        ensure!(tagged.status.success(), "ctr: {}", String::from_utf8_lossy(&tagged.stderr));
    }
    Ok(())
}

fn pods(registry: &str) -> Value {
    let containers = rewritten(registry, "object.spec.containers", "Object.spec.containers");
    policy(
        &json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }),
        &format!("Object{{spec: Object.spec{{containers: {containers}}}}}"),
    )
}

fn stateful_sets(registry: &str) -> Value {
    let path = "Object.spec.template.spec";
    let containers =
        rewritten(registry, "object.spec.template.spec.containers", &format!("{path}.containers"));
    policy(
        &json!({
            "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": ["statefulsets"],
        }),
        &format!(
            "Object{{spec: Object.spec{{template: Object.spec.template{{spec: {path}{{containers: {containers}}}}}}}}}"
        ),
    )
}

/// The server's container, with an image of the mirror. An image of the mirror stays: webhooks must be idempotent.
fn rewritten(registry: &str, containers: &str, type_: &str) -> String {
    format!(
        "{containers}.filter(c, c.name == 'postgres').map(c, {type_}{{name: c.name, \
         image: c.image.replace('{registry}/', '{MIRROR}/')}})"
    )
}

fn policy(rule: &Value, expression: &str) -> Value {
    json!({
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": { "resourceRules": [rule] },
        "mutations": [
            { "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression } },
        ],
    })
}

/// Asks, by dry runs, whether an object is rewritten.
async fn wait_until_effective(ns: &Namespace, kind: &str) -> anyhow::Result<()> {
    let pod = json!({
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 999, "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "postgres",
            "image": format!("{}/postgres:13.16", ns.cluster().registry),
            "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        }],
    });
    let labels = json!({ "app": "asks" });
    let (manifest, path) = if kind == "pods" {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "asks" }, "spec": pod });
        (pod, "{.spec.containers[0].image}")
    } else {
        let template = json!({ "metadata": { "labels": labels }, "spec": pod });
        let spec = json!({ "serviceName": "", "selector": { "matchLabels": labels }, "template": template });
        let workload = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "asks" }, "spec": spec,
        });
        (workload, "{.spec.template.spec.containers[0].image}")
    };
    let output = format!("jsonpath={path}");
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let arguments = ["create", "--dry-run=server", "-f", "-", "-o", &output];
        let answer = ns.kubectl(&arguments, Some(&manifest.to_string())).await?;
        if answer.stdout.starts_with(MIRROR) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "images of {kind} are not rewritten: {}{}",
            answer.stdout,
            answer.stderr
        );
        sleep(Duration::from_millis(250)).await;
    }
}

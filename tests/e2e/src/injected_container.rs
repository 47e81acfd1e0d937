//! A container that an admission policy adds to the pods of workers, as meshes and log collectors do.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::kubectl::kubectl;
use crate::namespace::Namespace;

/// What the container does at SIGTERM. It never ends by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtSigterm {
    /// It ends at once.
    Ends,
    /// It runs until the kubelet kills it.
    RunsOn,
}

/// A policy of the cluster that adds a container to every worker's pod of one namespace.
pub struct InjectedContainer {
    name: String,
}

impl InjectedContainer {
    /// Creates the policy. The cluster must have `MutatingAdmissionPolicy`, a beta of Kubernetes 1.34.
    pub async fn create(ns: &Namespace, at_sigterm: AtSigterm) -> anyhow::Result<Self> {
        let injected = Self { name: format!("inject-{}", ns.name()) };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": injected.objects(ns, at_sigterm) })
            .to_string();
        kubectl(&["create", "-f", "-"], Some(&list)).await?.succeeded()?;
        Ok(injected)
    }

    /// Deletes the policy.
    pub async fn delete(self) -> anyhow::Result<()> {
        for kind in ["mutatingadmissionpolicybindings", "mutatingadmissionpolicies"] {
            let deleted = kubectl(&["delete", kind, &self.name], None).await?;
            deleted.succeeded().with_context(|| format!("failed to delete {kind} {}", self.name))?;
        }
        Ok(())
    }

    fn objects(&self, ns: &Namespace, at_sigterm: AtSigterm) -> [Value; 2] {
        let trap = match at_sigterm {
            AtSigterm::Ends => "trap exit TERM",
            AtSigterm::RunsOn => r#"trap "" TERM"#,
        };
        let image = format!("{}/postgres:13.16", ns.cluster().registry);
        let container = format!(
            "Object.spec.containers{{name: 'injected', image: '{image}', \
             command: ['bash', '-c', '{trap}; sleep infinity & wait'], \
             securityContext: Object.spec.containers.securityContext{{allowPrivilegeEscalation: false, capabilities: \
             Object.spec.containers.securityContext.capabilities{{drop: ['ALL']}}}}}}"
        );
        // Not an ApplyConfiguration, which cannot set lists such as that of the command.
        let expression = format!("[JSONPatch{{op: 'add', path: '/spec/containers/-', value: {container}}}]");
        let is_worker = format!(
            "request.namespace == '{}' && object.spec.serviceAccountName.startsWith('pgops-worker-')",
            ns.name()
        );
        let api = "admissionregistration.k8s.io/v1beta1";
        [
            json!({
                "apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": { "name": self.name },
                "spec": {
                    "failurePolicy": "Fail",
                    "reinvocationPolicy": "Never",
                    "matchConstraints": { "resourceRules": [
                        { "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"] },
                    ]},
                    "matchConditions": [{ "name": "worker", "expression": is_worker }],
                    "mutations": [
                        { "patchType": "JSONPatch", "jsonPatch": { "expression": expression } },
                    ],
                },
            }),
            json!({
                "apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": { "name": self.name },
                "spec": { "policyName": self.name },
            }),
        ]
    }
}

/// Fails unless the pods have the container.
pub fn ensure_injected(pods: &[k8s_openapi::api::core::v1::Pod]) -> anyhow::Result<()> {
    let has = |pod: &k8s_openapi::api::core::v1::Pod| {
        let containers = pod.spec.as_ref().map(|spec| &spec.containers);
        containers.is_some_and(|all| all.iter().any(|container| container.name == "injected"))
    };
    ensure!(
        !pods.is_empty() && pods.iter().all(has),
        "the policy has added no container: {} pods",
        pods.len()
    );
    Ok(())
}

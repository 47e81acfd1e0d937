//! A way past admission, for requests that slip in while the webhook is away or too late to see another.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{Namespace, UpgradeBuilder};

/// The webhook that asks about requests.
const WEBHOOK: &str = "postgresopsrequests.pgops.dev";
/// Who is not asked about.
const ACCOUNT: &str = "past-admission";
/// The API server reads a changed configuration within a second or two.
const LONGEST: Duration = Duration::from_mins(1);

/// A service account of one namespace whose requests the webhook does not see.
pub struct PastAdmission<'a> {
    ns: &'a Namespace,
    configurations: Api<ValidatingWebhookConfiguration>,
    configuration: String,
}

impl<'a> PastAdmission<'a> {
    /// Makes the account, with the right to create requests, and has the webhook leave it out.
    ///
    /// The condition names this namespace alone, so the tests beside this one notice nothing; and one that
    /// is left behind by a killed test changes nothing either.
    pub async fn open(ns: &'a Namespace) -> anyhow::Result<Self> {
        let metadata = json!({"name": ACCOUNT});
        let create = PostParams::default();
        let account = serde_json::from_value(json!({"metadata": metadata}))?;
        ns.api::<ServiceAccount>().create(&create, &account).await?;
        let role = serde_json::from_value(json!({"metadata": metadata, "rules": [
            {"apiGroups": ["ops.kubedb.com"], "resources": ["postgresopsrequests"], "verbs": ["create"]},
        ]}))?;
        ns.api::<Role>().create(&create, &role).await?;
        let binding = serde_json::from_value(json!({
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": ns.name()}],
        }))?;
        ns.api::<RoleBinding>().create(&create, &binding).await?;

        let configurations = Api::<ValidatingWebhookConfiguration>::all(ns.cluster().client.clone());
        let all = configurations.list(&ListParams::default()).await?;
        let ours = all.iter().find(|it| it.webhooks.iter().flatten().any(|hook| hook.name == WEBHOOK));
        let configuration =
            ours.with_context(|| format!("no configuration has a webhook {WEBHOOK}"))?.name_any();
        let past = Self { ns, configurations, configuration };
        let expression = format!("request.userInfo.username != '{}'", past.user());
        past.patch(json!({"name": ns.name(), "expression": expression})).await?;
        Ok(past)
    }

    /// Creates the requests in this order, as fast as can be. `probe` must be one that admission refuses: its
    /// dry run passes as soon as the webhook is not asked any more.
    pub async fn create(&self, probe: &UpgradeBuilder, requests: &[UpgradeBuilder]) -> anyhow::Result<()> {
        let user = format!("--as={}", self.user());
        let text = probe.manifest().to_string();
        let passed = async {
            let dry = ["create", &user, "--dry-run=server", "-f", "-"];
            while !self.ns.kubectl(&dry, Some(&text)).await?.success {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(LONGEST, passed).await.context("the webhook is still asked")??;
        let items: Vec<&Value> = requests.iter().map(UpgradeBuilder::manifest).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let created = self.ns.kubectl(&["create", &user, "-f", "-"], Some(&list)).await?.succeeded()?;
        let lines = created.stdout.lines().count();
        ensure!(lines == requests.len(), "not all were created: {}", created.stdout);
        Ok(())
    }

    /// Has the webhook see everybody again.
    pub async fn close(self) -> anyhow::Result<()> {
        self.patch(json!({"$patch": "delete", "name": self.ns.name()})).await
    }

    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{ACCOUNT}", self.ns.name())
    }

    async fn patch(&self, condition: Value) -> anyhow::Result<()> {
        let patch = Patch::Strategic(json!({
            "webhooks": [{"name": WEBHOOK, "matchConditions": [condition]}],
        }));
        self.configurations.patch(&self.configuration, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

//! Requests that bypass admission, as if the webhook were unavailable or had not seen another request yet.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::request_builder::UpgradeRequestBuilder;
use crate::wait::eventually;

/// The webhook that reviews requests.
const WEBHOOK: &str = "postgresopsrequests.pgops.dev";
/// The service account whose requests are not reviewed.
const ACCOUNT: &str = "webhook-bypass";
/// The API server picks up a changed configuration within a second or two.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A service account of one namespace whose requests the webhook does not review.
pub struct WebhookBypass<'a> {
    ns: &'a Namespace,
    configurations: Api<ValidatingWebhookConfiguration>,
    configuration: String,
}

impl<'a> WebhookBypass<'a> {
    /// Creates the account, with permission to create requests, and excludes it from the webhook.
    ///
    /// The condition names only this namespace, so concurrent tests are not affected, nor is anything else if a
    /// killed test leaves the condition behind.
    pub async fn open(ns: &'a Namespace) -> anyhow::Result<Self> {
        create_account(ns).await?;
        let configurations = Api::<ValidatingWebhookConfiguration>::all(ns.cluster().client.clone());
        let all = configurations.list(&ListParams::default()).await?;
        let ours = all.iter().find(|it| it.webhooks.iter().flatten().any(|hook| hook.name == WEBHOOK));
        let configuration =
            ours.with_context(|| format!("no configuration has a webhook {WEBHOOK}"))?.name_any();
        let bypass = Self { ns, configurations, configuration };
        let expression = format!("request.userInfo.username != '{}'", bypass.user());
        bypass.patch(json!({"name": ns.name(), "expression": expression})).await?;
        Ok(bypass)
    }

    /// Creates the requests in this order, as fast as possible. Admission must deny `probe`: its dry run passes
    /// as soon as the API server no longer calls the webhook. What it is denied for may be so new that the webhook has yet to
    /// learn of it; until then a dry run that passes says nothing.
    pub async fn create(
        &self,
        probe: &UpgradeRequestBuilder,
        requests: &[UpgradeRequestBuilder],
    ) -> anyhow::Result<()> {
        let user = format!("--as={}", self.user());
        let text = probe.manifest().to_string();
        let denied = async || {
            ensure!(probe.dry_run().await.is_err(), "{text} is admitted");
            Ok(())
        };
        eventually("a denial of the probe", TIMEOUT, denied).await?;
        let passed = async || {
            let dry = ["create", &user, "--dry-run=server", "-f", "-"];
            self.ns.kubectl(&dry, Some(&text)).await?.succeeded()
        };
        eventually("an API server that does not call the webhook", TIMEOUT, passed).await?;
        let items: Vec<&Value> = requests.iter().map(UpgradeRequestBuilder::manifest).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let created = self.ns.kubectl(&["create", &user, "-f", "-"], Some(&list)).await?.succeeded()?;
        let lines = created.stdout.lines().count();
        ensure!(lines == requests.len(), "not all were created: {}", created.stdout);
        Ok(())
    }

    /// Restores the webhook's configuration.
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

/// Creates the account and allows it to create requests.
async fn create_account(ns: &Namespace) -> anyhow::Result<()> {
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
    Ok(())
}

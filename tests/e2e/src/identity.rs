//! Acting with the rights of one service account: what the API server lets it do.

use anyhow::{Context, ensure};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::namespace::{Namespace, NamespacedObject};

/// A client with the token of a service account of a test's namespace.
pub struct Identity {
    ns: Namespace,
    client: Client,
}

/// The part of an object that is written.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status.
    Status,
}

impl Identity {
    /// Acts with the account's real token.
    #[expect(clippy::disallowed_methods, reason = "the cluster under test is chosen by KUBECONFIG")]
    pub async fn of(ns: &Namespace, account: &str) -> anyhow::Result<Self> {
        let request: TokenRequest = serde_json::from_value(json!({ "spec": { "audiences": [] } }))?;
        let accounts = ns.api::<ServiceAccount>();
        let issued = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let issued = issued.with_context(|| format!("failed to obtain a token of {account}"))?;
        let token = issued.status.context("the API server issued no token")?.token;
        let mut config = Config::infer().await.context("failed to read KUBECONFIG")?;
        config.auth_info = serde_json::from_value(json!({ "token": token }))?;
        Ok(Self { ns: ns.clone(), client: Client::try_from(config)? })
    }

    /// The objects of a kind, in the test's namespace, with the rights of the account.
    #[must_use]
    pub fn api<K: NamespacedObject>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), self.ns.name())
    }

    /// Would the API server let the account make this patch? It is not stored.
    pub async fn patch<K: NamespacedObject>(
        &self,
        name: &str,
        part: Part,
        patch: &Patch<Value>,
    ) -> kube::Result<()> {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let objects = self.api::<K>();
        match part {
            Part::Main => objects.patch(name, &params, patch).await.map(drop),
            Part::Status => objects.patch_status(name, &params, patch).await.map(drop),
        }
    }

    /// Would the API server let the account create this object? It is not stored.
    pub async fn create<K: NamespacedObject>(&self, object: Value) -> kube::Result<()> {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let object: K = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        self.api::<K>().create(&params, &object).await.map(drop)
    }

    /// Would the API server let the account delete this object? It is not deleted.
    pub async fn delete<K: NamespacedObject>(&self, name: &str) -> kube::Result<()> {
        let params = DeleteParams { dry_run: true, ..DeleteParams::default() };
        self.api::<K>().delete(name, &params).await.map(drop)
    }
}

/// Fails unless the API server has refused the call, with a message that contains `reason`.
pub fn assert_refused(what: &str, result: kube::Result<()>, reason: &str) -> anyhow::Result<()> {
    match result {
        Ok(()) => anyhow::bail!("{what} should be refused"),
        Err(kube::Error::Api(status)) => {
            ensure!([401, 403, 422].contains(&status.code), "{what}: {status:?}");
            ensure!(
                status.message.contains(reason),
                "{what} should be refused with {reason:?}, not with {:?}",
                status.message
            );
            Ok(())
        }
        Err(error) => Err(error).with_context(|| what.to_owned()),
    }
}

/// Whether RBAC lets a service account do this; `resource` is `RESOURCE[/SUBRESOURCE]`, `namespace` may be empty for all.
pub async fn may(
    cluster: &Cluster,
    user: &str,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
) -> anyhow::Result<bool> {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.to_owned()),
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                namespace: Some(namespace.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(cluster.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

//! `pgops-webhook uninstall`: prepares the removal of pgops. Without it, databases, requests and their namespaces could not
//! be deleted any more: no component would remove their finalizers. The data stays, and so do the servers.
//!
//! Refuses, and changes nothing, while a request or a deletion is in progress: no component would complete it.

mod controllers;
mod decision;
mod error;
mod observe;

use std::fmt::Debug;

use anyhow::bail;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::api::{DeleteParams, PatchParams};
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::{Postgres, display_chain, names};
use pgops_kube::finalizers::without_finalizer;
use pgops_kube::{ApiError, Namespaces, patch};
use serde::de::DeserializeOwned;

use crate::args::UninstallArgs;
use crate::logging;
use controllers::Controllers;
use decision::{DatabaseFinalizers, decide};
use error::UninstallError;
use observe::Observed;

/// How often databases are read again that other clients have changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Prepares the removal of an installation.
pub async fn run(args: UninstallArgs) -> anyhow::Result<()> {
    let _log = logging::log_to_stderr(args.log_format);
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("failed to install the crypto provider: another one is installed");
    }
    let installation = Installation {
        client: args.connect.connect().await?,
        watched: args.namespaces.namespaces(),
        finalizers: if args.keep_database_finalizers {
            DatabaseFinalizers::OfAnother
        } else {
            DatabaseFinalizers::Ours
        },
        namespace: args.namespace,
        deployments: args.deployments,
        webhook_config: args.webhook_config,
    };
    Ok(installation.prepare_removal().await?)
}

/// What is removed.
struct Installation {
    client: Client,
    watched: Namespaces,
    finalizers: DatabaseFinalizers,
    namespace: String,
    deployments: Vec<String>,
    webhook_config: String,
}

impl Installation {
    async fn prepare_removal(&self) -> Result<(), UninstallError> {
        // First of all, so that a refusal interrupts nothing.
        decide(&self.observe().await?, self.finalizers).map_err(UninstallError::Refused)?;
        let controllers = Controllers::find(&self.client, &self.namespace, &self.deployments).await?;
        if let Err(error) = self.release(&controllers).await {
            if let Err(error) = controllers.restart().await {
                tracing::error!("{}: scale the Deployments up by hand", display_chain(&error));
            }
            return Err(error);
        }
        // Last, so that admission protects the databases as long as possible. Helm deletes them too, but another tool may not.
        delete::<ValidatingWebhookConfiguration>(&self.client, &self.webhook_config).await?;
        delete::<MutatingWebhookConfiguration>(&self.client, &self.webhook_config).await
    }

    /// Removes the finalizers of databases while no controller can add them again.
    async fn release(&self, controllers: &Controllers) -> Result<(), UninstallError> {
        controllers.stop().await?;
        let mut attempts = 0..ATTEMPTS;
        loop {
            match self.remove_finalizers().await {
                Err(UninstallError::Api(error)) if error.is_conflict() && attempts.next().is_some() => {}
                released => return released,
            }
        }
    }

    async fn remove_finalizers(&self) -> Result<(), UninstallError> {
        // The launcher may have started another request until it stopped.
        let observed = self.observe().await?;
        let databases = decide(&observed, self.finalizers).map_err(UninstallError::Refused)?;
        for database in &databases {
            let namespace = database.namespace().unwrap_or_default();
            // Without the fields that this program may not be able to read.
            let api: Api<PartialObjectMeta<Postgres>> = Api::namespaced(self.client.clone(), &namespace);
            let metadata = database.meta().clone().into_response_partial::<Postgres>();
            let change = without_finalizer(&metadata, names::POSTGRES_FINALIZER);
            let params = PatchParams::default();
            patch::patch(&api, "remove the finalizer of", &metadata, &params, change).await?;
            tracing::info!(namespace, database = database.name_any(), "removed the finalizer");
        }
        tracing::info!("pgops can be removed: the databases stay and serve");
        Ok(())
    }

    async fn observe(&self) -> Result<Observed, UninstallError> {
        Ok(Observed::read(&self.client, &self.watched).await?)
    }
}

/// Deletes an object that has no namespace, if it exists.
async fn delete<K>(client: &Client, name: &str) -> Result<(), UninstallError>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    match api.delete(name, &DeleteParams::default()).await.map_err(ApiError::on::<K>("delete", name)) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

//! The life of the process: becomes the leader, watches and builds, and ends when it no longer leads.

use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use futures::StreamExt;
use futures::future::select_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use kube::core::PartialObjectMeta;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, controller};
use kube::{Api, Client};
use pgops_api::{Postgres, PostgresVersion, names};
use pgops_kube::lease::Election;
use pgops_kube::shutdown::{self, CancellationToken};
use pgops_kube::{NamespaceScope, watches};
use tokio::sync::watch;

use crate::apply::MANAGER;
use crate::children::Images;
use crate::context::Context;
use crate::controller::{reconcile, retry};
use crate::health;
use crate::metrics::Metrics;
use crate::options::Options;

/// Runs until leadership is lost or the process is asked to stop.
#[tokio::main]
pub async fn run(options: Options) -> anyhow::Result<()> {
    // Fails only if a provider is installed already, which can only be the same one: there is no other in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shutdown = shutdown::on_signal().context("failed to listen for termination signals")?;
    let (connected, connected_reader) = watch::channel(false);
    let address = options.health_bind;
    let metrics = Metrics::default();
    tokio::select! {
        served = health::serve(address, connected_reader, metrics.clone()) => {
            served.with_context(|| format!("failed to answer probes on --health-bind {address}"))
        }
        done = lead(options, &connected, &metrics, &shutdown) => done,
    }
}

/// Works as long as this replica leads.
async fn lead(
    options: Options,
    connected: &watch::Sender<bool>,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let client = options.connect.connect().await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), &options.namespace);
    // A standby is ready too, once the API server has answered.
    leases
        .get_opt(MANAGER)
        .await
        .with_context(|| format!("failed to read lease {}/{MANAGER}", options.namespace))?;
    connected.send_replace(true);

    let election = Election::new(leases, MANAGER, options.name.clone());
    tracing::info!(name = options.name, "waiting for leadership");
    let mut leadership = tokio::select! {
        leadership = election.acquire() => leadership,
        () = shutdown.cancelled() => return Ok(()),
    };
    tracing::info!(name = options.name, "leading");
    metrics.set_leading();
    tokio::select! {
        () = watch_databases(client, &options) => anyhow::bail!("the watches ended"),
        () = leadership.lost() => {
            anyhow::bail!("lost leadership; exiting so that the pod restarts as a standby")
        }
        () = shutdown.cancelled() => {}
    }
    // Another replica need not wait until the lease expires.
    leadership.release().await;
    Ok(())
}

/// Builds the databases of every namespace, with one controller for each that is watched by itself.
async fn watch_databases(client: Client, options: &Options) {
    let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(options.name.clone()) };
    let images = Images {
        instance: options.instance_image.clone(),
        pull_policy: options.image_pull_policy.as_str().to_owned(),
        args: options.images.clone(),
        patroni: options.patroni_image.clone().filter(|_| options.enable_standbys),
        install_resources: options.install_resources.clone(),
    };
    let context = Arc::new(Context {
        ip_families: options.ip_families.clone(),
        managed: options.managed_databases,
        ..Context::new(client.clone(), reporter, images)
    });
    let scopes = options.namespaces.namespaces().scopes();
    let controllers =
        scopes.into_iter().map(|scope| Box::pin(watch_databases_in(client.clone(), scope, context.clone())));
    // None of them ends by itself.
    select_all(controllers).await;
}

async fn watch_databases_in(client: Client, scope: NamespaceScope, context: Arc<Context>) {
    let databases: Api<PartialObjectMeta<Postgres>> = scope.api(&client);
    let workloads: Api<PartialObjectMeta<StatefulSet>> = scope.api(&client);
    let versions: Api<PartialObjectMeta<PostgresVersion>> = Api::all(client);
    let own_label = format!("{}={}", names::LABEL_NAME, names::LABEL_NAME_VALUE);

    let controller = Controller::new(databases, watches::config());
    let known = controller.store();
    // The catalog changes seldom, and which databases wait for an entry is known only to themselves.
    let all_databases = move |_| {
        let databases = known.state();
        databases.iter().map(|database| ObjectRef::from_obj(database.as_ref())).collect::<Vec<_>>()
    };
    let reconciled = controller
        .owns(workloads, watches::config().labels(&own_label))
        .watches(versions, watches::config(), all_databases)
        .run(reconcile, |object, error, _| retry(&object, error), context);
    let mut reconciled = pin!(reconciled);
    while let Some(result) = reconciled.next().await {
        match result {
            // A failed reconciliation is logged where its retry is scheduled; an object that does not exist any more
            // was enqueued by one of its children.
            Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

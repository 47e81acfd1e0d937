//! The provisioner's life: wait to be the leader, watch, build; stop when it is no longer.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, controller, watcher};
use kube::{Api, Client};
use kube_lease_manager::LeaseManagerBuilder;
use pgops_api::{Postgres, PostgresVersion, names};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::apply::MANAGER;
use crate::children::Images;
use crate::controller::{Context, reconcile, retry};
use crate::health;

/// Turns each `Postgres` into the objects that run it.
#[derive(Parser)]
#[command(name = "pgops-provisioner", version)]
pub struct Options {
    /// Image of the instance, which becomes PID 1 of each database pod.
    #[arg(long, env = "PGOPS_INSTANCE_IMAGE", value_name = "IMAGE")]
    instance_image: String,
    /// When the images of database pods are pulled.
    #[arg(long, env = "PGOPS_IMAGE_PULL_POLICY", value_name = "POLICY", default_value = "IfNotPresent")]
    image_pull_policy: PullPolicy,
    /// Namespace of the provisioner's lease.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// Name of this replica in the lease and in Events.
    #[arg(long, env = "POD_NAME", default_value = MANAGER)]
    name: String,
    /// Address of /livez and /readyz.
    #[arg(long, env = "PGOPS_HEALTH_BIND", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    health_bind: SocketAddr,
    /// Form of the log.
    #[arg(long, env = "PGOPS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// `imagePullPolicy`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// Seconds after which another replica takes over from one that is silent.
const LEASE_SECONDS: u64 = 15;
/// Seconds before that at which the leader renews.
const LEASE_GRACE_SECONDS: u64 = 5;

/// Runs until the lease is lost or the program is told to stop.
#[tokio::main]
pub async fn run(options: Options) -> anyhow::Result<()> {
    // Fails only where one is installed, and then it is the same: there is one in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (reached, reached_reader) = watch::channel(false);
    let address = options.health_bind;
    tokio::select! {
        served = health::serve(address, reached_reader) => {
            served.with_context(|| format!("failed to answer probes on --health-bind {address}"))
        }
        done = lead(options, &reached, stop) => done,
    }
}

/// Works as long as this replica holds the lease.
async fn lead(
    options: Options,
    reached: &watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("failed to find the API server")?;
    let lease = LeaseManagerBuilder::new(client.clone(), MANAGER)
        .with_namespace(&options.namespace)
        .with_identity(&options.name)
        .with_duration(LEASE_SECONDS)
        .with_grace(LEASE_GRACE_SECONDS)
        .build()
        .await
        .with_context(|| format!("failed to read lease {}/{MANAGER}", options.namespace))?;
    reached.send_replace(true);
    let (mut leads, lease_task) = lease.watch().await;
    let work = async {
        tracing::info!(name = options.name, "waiting to be the leader");
        leads.wait_for(|leads| *leads).await.context("failed to keep the lease")?;
        tracing::info!(name = options.name, "leading");
        tokio::select! {
            () = watch_databases(client, &options) => anyhow::bail!("the watches ended"),
            _ = leads.wait_for(|leads| !*leads) => {
                anyhow::bail!("another replica leads: ending, to begin anew as one that waits")
            }
        }
    };
    tokio::select! {
        done = work => return done,
        () = stop => tracing::info!("told to stop"),
    }
    // Gives the lease back, so that another replica need not wait for its end.
    drop(leads);
    lease_task.await.context("failed to end the lease's task")?.context("failed to give back the lease")?;
    Ok(())
}

async fn watch_databases(client: Client, options: &Options) {
    let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(options.name.clone()) };
    let context = Context {
        recorder: Recorder::new(client.clone(), reporter),
        images: Images {
            instance: options.instance_image.clone(),
            pull_policy: format!("{:?}", options.image_pull_policy),
        },
        client: client.clone(),
    };
    let databases: Api<PartialObjectMeta<Postgres>> = Api::all(client.clone());
    let workloads: Api<PartialObjectMeta<StatefulSet>> = Api::all(client.clone());
    let versions: Api<PartialObjectMeta<PostgresVersion>> = Api::all(client);
    let ours = format!("{}={}", names::LABEL_NAME, names::LABEL_NAME_VALUE);

    let controller = Controller::new(databases, watcher::Config::default());
    let known = controller.store();
    // A catalog changes seldom, and which databases wait for an entry is known only to themselves.
    let all = move |_| {
        known.state().iter().map(|database| ObjectRef::from_obj(database.as_ref())).collect::<Vec<_>>()
    };
    controller
        .owns(workloads, watcher::Config::default().labels(&ours))
        .watches(versions, watcher::Config::default(), all)
        .run(reconcile, |object, error, _| retry(&object, error), Arc::new(context))
        .for_each(|done| async {
            match done {
                // A failed reconciliation is logged where it is decided when to try again; an object
                // that is gone was woken by one of its children.
                Ok(_)
                | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        })
        .await;
}

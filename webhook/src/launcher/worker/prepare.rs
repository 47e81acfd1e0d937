//! Builds the worker of a request from what was observed.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use pgops_api::admission::{AdmittedUpgrade, RequestOptions};
use pgops_api::names::CONTAINER_POSTGRES;
use pgops_api::opsrequest::NOT_PROVISIONED;
use pgops_api::plan::{UpgradeKind, VersionRef};
use pgops_api::tls::CertificateAlias;
use pgops_api::{Owner, Postgres, UpgradePlan, layout};

use super::{DatabaseCertificates, RunAs, Scheduling, Worker};
use crate::launcher::state::State;
use crate::launcher::waiting::PLAN_LOST;

/// Why no worker can be built.
#[derive(Debug, PartialEq)]
pub struct PrepareError {
    /// Reason of a condition or an Event.
    pub reason: &'static str,
    pub message: String,
}

/// The worker of a request that was just admitted. The old image is the one that is actually running, and the new one is as the
/// API server will store it: what the worker may set is judged after webhooks have rewritten it.
pub fn new_worker(state: &State, mut upgrade: AdmittedUpgrade) -> Result<Worker, PrepareError> {
    let provisioned = Provisioned::of(state)?;
    upgrade.to = stored(state, upgrade.to);
    if let Some(running) = provisioned.server_image() {
        upgrade.from.image.clone_from(running);
    }
    Ok(provisioned.worker(state, upgrade))
}

/// The worker of a request whose Job was deleted while active: the same plan, built again.
///
/// The compatibility matrix is not consulted again, and the upgrade's source is the version in the request's
/// status: the database may be anywhere in between.
pub fn rebuild_worker(state: &State) -> Result<Worker, PrepareError> {
    let provisioned = Provisioned::of(state)?;
    let request = &state.request;
    let mut from = version_ref(state, request.from_version())?;
    let to = version_ref(state, request.target())?;
    let old_major = major(&from)?;
    let new_major = major(&to)?;
    // Once the workload has the new image, only the catalog knows the old one. If the catalog has got another
    // reference of the new image since, the data directory still tells which image the workload has.
    let has_old_data = layout::pgdata_major(provisioned.pod).is_none_or(|major| major == old_major);
    let running = provisioned.server_image();
    if let Some(old_image) = running.filter(|image| has_old_data && **image != to.image) {
        from.image.clone_from(old_image);
    }
    let upgrade = AdmittedUpgrade {
        from,
        to,
        kind: if old_major == new_major { UpgradeKind::Minor } else { UpgradeKind::Major },
        options: RequestOptions::parse_lenient(request),
    };
    Ok(provisioned.worker(state, upgrade))
}

fn version_ref(state: &State, name: Option<&str>) -> Result<VersionRef, PrepareError> {
    let name = name.unwrap_or_default();
    let entry = state.catalog.get(name).map(|entry| entry.version_ref.clone());
    entry.map(|entry| stored(state, entry)).ok_or_else(|| {
        plan_lost(format!(
            "cannot recreate the Job of this request: PostgresVersion \"{name}\" does not exist; create it again"
        ))
    })
}

/// The version with its image as the API server stores it.
fn stored(state: &State, version: VersionRef) -> VersionRef {
    VersionRef { image: state.stored_image(&version.image).to_owned(), ..version }
}

fn major(version: &VersionRef) -> Result<u32, PrepareError> {
    version.pg_version().map(|version| version.major).map_err(|error| plan_lost(error.to_string()))
}

fn plan_lost(message: String) -> PrepareError {
    PrepareError { reason: PLAN_LOST, message }
}

/// A database and the template of its pods, as the provisioner built it.
struct Provisioned<'a> {
    database: &'a Postgres,
    pod: &'a PodSpec,
}

impl<'a> Provisioned<'a> {
    fn of(state: &'a State) -> Result<Self, PrepareError> {
        let key = state.database_key();
        let error = |detail: String| PrepareError {
            reason: NOT_PROVISIONED,
            message: format!("{key} was not provisioned by pgops: {detail}"),
        };
        let missing = || error(format!("StatefulSet {key} does not exist"));
        let database = state.database.as_ref().ok_or_else(missing)?;
        let workload = state.workload.as_ref().ok_or_else(missing)?;
        Owner::of(database).require(workload).map_err(|foreign| error(foreign.to_string()))?;
        let pod = workload.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let pod = pod.filter(|pod| server(pod).is_some());
        let pod =
            pod.ok_or_else(|| error(format!("StatefulSet {key} has no container \"{CONTAINER_POSTGRES}\"")))?;
        Ok(Self { database, pod })
    }

    /// Image of the database's server.
    fn server_image(&self) -> Option<&'a String> {
        server(self.pod).and_then(|container| container.image.as_ref())
    }

    fn worker(&self, state: &State, upgrade: AdmittedUpgrade) -> Worker {
        let Self { database, pod } = self;
        Worker {
            kind: upgrade.kind,
            plan: plan(state, database, upgrade),
            auth_secret: database.auth_secret(),
            // What the next pod has: the spec may name another one, which the server rejects.
            config_secret: layout::mounted_settings_secret(pod).map(ToOwned::to_owned),
            tls: certificates(database),
            run_as: run_as(pod),
            server_limits: server_limits(pod),
            scheduling: Scheduling {
                node: state.server.as_ref().and_then(|pod| pod.spec.as_ref()?.node_name.clone()),
                node_selector: pod.node_selector.clone(),
                tolerations: pod.tolerations.clone(),
                image_pull_secrets: pod.image_pull_secrets.clone(),
                priority_class: pod.priority_class_name.clone(),
            },
        }
    }
}

/// Image of the database's server, if pgops has provisioned it.
pub fn server_image(state: &State) -> Option<&str> {
    Provisioned::of(state).ok()?.server_image().map(String::as_str)
}

fn server_limits(pod: &PodSpec) -> BTreeMap<String, Quantity> {
    let resources = server(pod).and_then(|container| container.resources.clone());
    resources.and_then(|resources| resources.limits).unwrap_or_default()
}

fn server(pod: &PodSpec) -> Option<&Container> {
    pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)
}

fn plan(state: &State, database: &Postgres, upgrade: AdmittedUpgrade) -> UpgradePlan {
    let request = &state.request;
    let target = state.catalog.get(&upgrade.to.name);
    UpgradePlan {
        namespace: request.namespace().unwrap_or_default(),
        request: request.name_any(),
        request_uid: request.uid().unwrap_or_default(),
        database: request.spec.database_ref.name.clone(),
        database_uid: database.uid().unwrap_or_default(),
        from: upgrade.from,
        to: upgrade.to,
        servers: u32::try_from(database.replicas()).unwrap_or(1).max(1),
        // As acknowledged in the status: a later change of the annotation has no effect.
        scope: request.scope(),
        transfer_mode: upgrade.options.transfer_mode,
        keep_old_data_seconds: upgrade.options.keep_old_data.map(|time| time.as_secs()),
        reindex: upgrade.options.reindex,
        repartition: upgrade.options.repartition,
        createrole_grants: upgrade.options.createrole_grants,
        extensions: target.map(|entry| entry.extensions.clone()).unwrap_or_default(),
        // A fraction of a second would be truncated: a timeout must not become 0.
        timeout_seconds: upgrade.options.timeout.map(|timeout| timeout.as_secs().max(1)),
        max_retries: upgrade.options.max_retries,
    }
}

/// The certificates of a database that speaks TLS.
fn certificates(database: &Postgres) -> Option<DatabaseCertificates> {
    let tls = database.server_tls()?;
    let secret = |alias| Some(database.certificate(alias)?.secret);
    Some(DatabaseCertificates {
        server: secret(CertificateAlias::Server)?,
        client: secret(CertificateAlias::Client).filter(|_| tls.verifies_clients),
    })
}

/// The user and groups of the server: its container's own, else the pod's.
fn run_as(pod: &PodSpec) -> RunAs {
    let of_pod = pod.security_context.clone().unwrap_or_default();
    let of_server = server(pod).and_then(|container| container.security_context.clone()).unwrap_or_default();
    let user = of_server.run_as_user.or(of_pod.run_as_user);
    RunAs {
        user: user.unwrap_or(pgops_api::postgresversion::DEFAULT_RUN_AS_USER),
        group: of_server.run_as_group.or(of_pod.run_as_group),
        fs_group: of_pod.fs_group,
        supplemental_groups: of_pod.supplemental_groups,
        se_linux: of_server.se_linux_options.or(of_pod.se_linux_options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::launcher::fixtures::StateBuilder;
    use pgops_api::matrix::Catalog;
    use pgops_api::names::VOLUME_CONFIG;
    use pgops_api::postgresversion::{ExtensionSpec, PostgresVersionSpec};
    use rstest::rstest;
    use serde_json::json;

    #[test]
    fn plan_has_what_the_targets_entry_says_of_extensions() {
        let mut state =
            StateBuilder::new().server_container("postgres:13.16", Some("/var/pv/13/data")).build();
        let entry = |version: &str| PostgresVersionSpec {
            version: version.to_owned(),
            extensions: vec![ExtensionSpec { name: format!("of_{version}"), ..ExtensionSpec::default() }],
            ..PostgresVersionSpec::default()
        };
        let entries = ["13.16", "17.11"].map(|version| (version, entry(version)));
        state.catalog = Arc::new(Catalog::new(entries.iter().map(|(name, spec)| (*name, spec))));
        let extensions = rebuild_worker(&state).unwrap().plan.extensions;
        assert_eq!(extensions, entry("17.11").extensions);
    }

    #[test]
    fn worker_has_the_settings_that_the_next_pod_has() {
        let mut state =
            StateBuilder::new().server_container("postgres:13.16", Some("/var/pv/13/data")).build();
        let spec = &mut state.database.as_mut().unwrap().spec;
        spec.config_secret = serde_json::from_value(json!({ "name": "rejected" })).unwrap();
        assert_eq!(rebuild_worker(&state).unwrap().config_secret, None);
        let template = &mut state.workload.as_mut().unwrap().spec.as_mut().unwrap().template;
        let volume = json!({ "name": VOLUME_CONFIG, "secret": { "secretName": "accepted" } });
        template.spec.as_mut().unwrap().volumes = Some(vec![serde_json::from_value(volume).unwrap()]);
        assert_eq!(rebuild_worker(&state).unwrap().config_secret.as_deref(), Some("accepted"));
    }

    // The catalog has postgres:13.16 and postgres:17.11.
    #[rstest]
    #[case::old_but_patched("registry/13.16-patched", Some("/var/pv/13/data"), "registry/13.16-patched")]
    #[case::new("postgres:17.11", Some("/var/pv/17/data"), "postgres:13.16")]
    #[case::new_by_a_reference_corrected_since("lost/17.11", Some("/var/pv/17/data"), "postgres:13.16")]
    #[case::without_known_data_directory("registry/13.16-patched", None, "registry/13.16-patched")]
    fn rebuilt_plan_has_the_image_of_the_old_data(
        #[case] runs: &str,
        #[case] pgdata: Option<&str>,
        #[case] old: &str,
    ) {
        let state = StateBuilder::new().server_container(runs, pgdata).build();
        let plan = rebuild_worker(&state).unwrap().plan;
        assert_eq!((plan.from.image.as_str(), plan.to.image.as_str()), (old, "postgres:17.11"));
    }
}

use k8s_openapi::api::core::v1::{Container, PodSpec};
use pgops_api::UpgradePlan;
use pgops_api::names::{CONTAINER_PROGRAMS, CONTAINER_REHEARSAL, CONTAINER_RUNNER};
use pgops_api::plan::PLAN_VARIABLE;

use crate::launcher::fixtures::{worker, worker_options};
use crate::launcher::worker::volumes::{VOLUME_AUTH, VOLUME_CLIENT_TLS, VOLUME_TLS};
use crate::launcher::worker::{DatabaseCertificates, Worker};
use pgops_kube::identity::VOLUME_IDENTITY;

fn pod(worker: &Worker) -> PodSpec {
    worker.job(&worker_options()).unwrap().spec.unwrap().template.spec.unwrap()
}

fn init_names(pod: &PodSpec) -> Vec<&str> {
    pod.init_containers.iter().flatten().map(|container| container.name.as_str()).collect()
}

fn named<'a>(pod: &'a PodSpec, name: &str) -> &'a Container {
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    containers.into_iter().find(|container| container.name == name).unwrap()
}

fn mounts(container: &Container) -> Vec<&str> {
    container.volume_mounts.iter().flatten().map(|mount| mount.mount_path.as_str()).collect()
}

#[test]
fn every_container_fits_the_restricted_profile() {
    let pod = pod(&worker("13.16", "17.11"));
    let security = pod.security_context.unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    let containers = pod.init_containers.unwrap().into_iter().chain(pod.containers);
    let mut seen = 0;
    for container in containers {
        let security = container.security_context.unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false), "{}", container.name);
        assert_eq!(security.read_only_root_filesystem, Some(true), "{}", container.name);
        assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"], "{}", container.name);
        seen += 1;
    }
    assert_eq!(seen, 5);
    let volumes = pod.volumes.unwrap();
    assert!(volumes.iter().all(|volume| volume.host_path.is_none()));
}

#[test]
fn worker_runs_as_owner_of_the_data_near_the_database() {
    let pod = pod(&worker("13.16", "17.11"));
    let security = pod.security_context.unwrap();
    assert_eq!(
        (security.run_as_user, security.run_as_group, security.fs_group),
        (Some(70), Some(71), Some(72))
    );
    assert_eq!(security.fs_group_change_policy.as_deref(), Some("OnRootMismatch"));
    let affinity = pod.affinity.unwrap();
    let near = affinity.pod_affinity.unwrap();
    assert!(near.required_during_scheduling_ignored_during_execution.is_none());
    let near = near.preferred_during_scheduling_ignored_during_execution.unwrap().remove(0);
    let labels = near.pod_affinity_term.label_selector.unwrap().match_labels.unwrap();
    assert_eq!(labels["app.kubernetes.io/instance"], "orders");
    let affinity = affinity.node_affinity.unwrap();
    assert!(affinity.required_during_scheduling_ignored_during_execution.is_none());
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.unwrap().remove(0);
    let field = preferred.preference.match_fields.unwrap().remove(0);
    assert_eq!((field.key.as_str(), field.values.unwrap()), ("metadata.name", vec!["node-1".to_owned()]));
    assert_eq!(pod.node_selector.unwrap()["disk"], "fast");
    assert_eq!(pod.tolerations.unwrap().len(), 1);
    assert_eq!(pod.image_pull_secrets.unwrap()[0].name, "pull");
}

/// Also if another provisioner has built the database: its pods need not have them.
#[test]
fn worker_pulls_with_the_secrets_of_the_installation_on_nodes_of_its_architecture() {
    let mut options = worker_options();
    options.images.image_pull_secrets = vec!["mirror".into()];
    options.images.image_architecture = Some("amd64".into());
    let job = worker("13.16", "17.11").job(&options).unwrap();
    let pod = job.spec.unwrap().template.spec.unwrap();
    let secrets: Vec<_> = pod.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
    assert_eq!(secrets, ["pull", "mirror"]);
    assert_eq!(pod.node_selector.unwrap()["kubernetes.io/arch"], "amd64");
}

#[test]
fn major_upgrade_stages_running_image_and_mounts_volume() {
    let pod = pod(&worker("13.16", "17.11"));
    assert_eq!(init_names(&pod), ["install", "stage", "programs", "rehearsal"]);
    let stage = &pod.init_containers.as_ref().unwrap()[1];
    assert_eq!(stage.image.as_deref(), Some("registry/postgres:13.16-patched"));
    assert_eq!(
        stage.command.as_deref().unwrap(),
        ["/pgops/bin/pgops-runner", "stage", "--to", "/pgops/old", "--major", "13"]
    );
    for name in [CONTAINER_RUNNER, CONTAINER_PROGRAMS] {
        assert!(mounts(named(&pod, name)).contains(&"/var/pv"));
    }
    let claims: Vec<_> =
        pod.volumes.iter().flatten().filter_map(|it| it.persistent_volume_claim.as_ref()).collect();
    assert_eq!(claims[0].claim_name, "data-orders-0");
}

#[test]
fn minor_upgrade_mounts_no_volume_and_stages_nothing() {
    let pod = pod(&worker("13.16", "13.23"));
    assert_eq!(init_names(&pod), ["install", "programs"]);
    assert!(!mounts(&pod.containers[0]).contains(&"/var/pv"));
    assert!(pod.volumes.unwrap().iter().all(|volume| volume.persistent_volume_claim.is_none()));
}

#[test]
fn only_the_runner_mounts_password_and_token() {
    let mut worker = worker("13.16", "17.11");
    worker.config_secret = Some("orders-conf".into());
    let pod = pod(&worker);
    let volumes: Vec<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
        for mount in container.volume_mounts.iter().flatten() {
            let secret = [VOLUME_AUTH, VOLUME_IDENTITY].contains(&mount.name.as_str());
            assert!(volumes.contains(&mount.name.as_str()), "{} {}", container.name, mount.name);
            assert!(!secret || container.name == CONTAINER_RUNNER, "{}", container.name);
        }
    }
    for directory in ["/etc/config", "/etc/pgops/settings"] {
        assert!(mounts(named(&pod, CONTAINER_PROGRAMS)).contains(&directory));
    }
}

/// It knows the server by its certificate; the key would let it be the server.
#[test]
fn only_the_runner_mounts_certificates_and_never_the_servers_key() {
    let mut worker = worker("13.16", "17.11");
    let server = "orders-server-cert".to_owned();
    worker.tls = Some(DatabaseCertificates { server, client: Some("orders-client-cert".to_owned()) });
    let pod = pod(&worker);
    for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
        let found = mounts(container).contains(&"/etc/pgops/tls")
            || mounts(container).contains(&"/etc/pgops/client-tls");
        assert_eq!(found, container.name == CONTAINER_RUNNER, "{}", container.name);
    }
    let keys = |volume: &str| {
        let volume = pod.volumes.iter().flatten().find(|it| it.name == volume).unwrap();
        let sources = volume.projected.as_ref().unwrap().sources.iter().flatten();
        let items = sources.flat_map(|source| source.secret.as_ref().unwrap().items.iter().flatten());
        items.map(|item| item.key.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(keys(VOLUME_TLS), ["tls.crt", "ca.crt"]);
    assert_eq!(keys(VOLUME_CLIENT_TLS), ["tls.crt", "tls.key"]);
}

#[test]
fn runner_runs_no_program_of_another_image() {
    let pod = pod(&worker("13.16", "17.11"));
    let [runner] = &pod.containers[..] else { panic!("{:?}", pod.containers) };
    assert_eq!(runner.image.as_deref(), Some("registry/pgops-runner:1"));
    assert_eq!((runner.command.as_ref(), runner.args.as_deref()), (None, Some(&["upgrade".to_owned()][..])));
    assert!(mounts(runner).iter().all(|mount| !mount.starts_with("/pgops") && *mount != "/tmp"));
    assert_eq!(pod.share_process_namespace, Some(false));
    for name in [CONTAINER_PROGRAMS, CONTAINER_REHEARSAL] {
        let sidecar = named(&pod, name);
        assert_eq!(sidecar.image.as_deref(), Some("postgres:17.11"));
        assert_eq!(sidecar.restart_policy.as_deref(), Some("Always"));
        assert_eq!(sidecar.env, None);
    }
}

/// The journal and what the preflight has stored.
#[test]
fn state_of_the_upgrade_is_read_only_where_code_of_users_runs() {
    let pod = pod(&worker("13.16", "17.11"));
    let state = |name: &str| {
        let mounts = named(&pod, name).volume_mounts.as_ref().unwrap();
        let state = mounts.iter().find(|mount| mount.mount_path == "/var/pv/.pgops");
        state.map(|mount| (mount.name.as_str(), mount.sub_path.as_deref(), mount.read_only))
    };
    assert_eq!(state(CONTAINER_PROGRAMS), Some(("data", Some(".pgops"), Some(true))));
    assert_eq!(state(CONTAINER_RUNNER), None, "it has the whole volume");
}

#[test]
fn rehearsal_mounts_nothing_that_it_could_harm() {
    let pod = pod(&worker("13.16", "17.11"));
    let rehearsal = named(&pod, CONTAINER_REHEARSAL);
    let mut expected =
        ["/dev/shm", "/etc/passwd", "/pgops/bin", "/run/pgops/dumps", "/run/pgops/rehearsal", "/tmp"];
    let mut found = mounts(rehearsal);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn rehearsal_has_the_memory_limit_of_the_options() {
    let pod = pod(&worker("13.16", "17.11"));
    let limits = |name: &str| named(&pod, name).resources.as_ref().unwrap().limits.clone();
    assert_eq!(limits(CONTAINER_REHEARSAL).unwrap()["memory"].0, "3Gi");
    assert_eq!(limits(CONTAINER_PROGRAMS), None, "what runs in the outage must not be killed");
}

/// Directories that a container of users' code writes to are seen by the runner alone; the others only read.
#[test]
fn containers_of_database_images_share_only_what_one_of_them_reads() {
    let pod = pod(&worker("13.16", "17.11"));
    let writers = |volume: &str| {
        let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
        let writes = |container: &&Container| {
            let mut mounts = container.volume_mounts.iter().flatten();
            mounts.any(|mount| mount.name == volume && mount.read_only != Some(true))
        };
        containers.filter(writes).map(|container| container.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(writers("pgops"), ["install"]);
    assert_eq!(writers("old"), ["stage"]);
    assert_eq!(writers("dumps"), ["programs"]);
    assert_eq!(writers("programs"), ["programs", "runner"]);
    assert_eq!(writers("rehearsal"), ["rehearsal", "runner"]);
    assert_eq!(writers("data"), ["programs", "runner"]);
}

#[test]
fn runner_mounts_its_identity_where_clients_expect_it() {
    let worker = worker("13.16", "17.11");
    assert_eq!(worker.service_account().automount_service_account_token, Some(false));
    let pod = pod(&worker);
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert!(mounts(&pod.containers[0]).contains(&"/var/run/secrets/kubernetes.io/serviceaccount"));
    let identity = pod.volumes.iter().flatten().find_map(|volume| volume.projected.as_ref()).unwrap();
    let sources = serde_json::to_value(&identity.sources).unwrap();
    assert_eq!(sources[0]["serviceAccountToken"]["path"], "token");
    assert_eq!(sources[1]["configMap"]["items"][0]["path"], "ca.crt");
    assert_eq!(sources[2]["downwardAPI"]["items"][0]["path"], "namespace");
}

#[test]
fn plan_in_the_job_is_the_workers() {
    let worker = worker("13.16", "17.11");
    let variables = pod(&worker).containers.remove(0).env.unwrap();
    let value = |name: &str| variables.iter().find(|it| it.name == name).unwrap().value.clone().unwrap();
    assert_eq!(UpgradePlan::from_json(&value(PLAN_VARIABLE)).unwrap(), worker.plan);
    assert_eq!(worker.plan.from.image, "registry/postgres:13.16-patched");
}

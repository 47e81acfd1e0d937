use super::*;
use crate::launcher::fixtures::worker;
use pgops_kube::PullPolicy;

fn images() -> Images {
    Images { runner: "registry/pgops-runner:1".into(), pull_policy: Some(PullPolicy::IfNotPresent) }
}

fn pod(worker: &Worker) -> PodSpec {
    worker.job(&images()).unwrap().spec.unwrap().template.spec.unwrap()
}

fn init_names(pod: &PodSpec) -> Vec<&str> {
    pod.init_containers.iter().flatten().map(|container| container.name.as_str()).collect()
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
    assert_eq!(seen, 3);
    let volumes = pod.volumes.unwrap();
    assert!(volumes.iter().all(|volume| volume.host_path.is_none()));
}

#[test]
fn it_runs_as_the_owner_of_the_data_near_the_database() {
    let pod = pod(&worker("13.16", "17.11"));
    let security = pod.security_context.unwrap();
    assert_eq!(
        (security.run_as_user, security.run_as_group, security.fs_group),
        (Some(70), Some(71), Some(72))
    );
    assert_eq!(security.fs_group_change_policy.as_deref(), Some("OnRootMismatch"));
    let affinity = pod.affinity.unwrap().node_affinity.unwrap();
    assert!(affinity.required_during_scheduling_ignored_during_execution.is_none());
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.unwrap().remove(0);
    let field = preferred.preference.match_fields.unwrap().remove(0);
    assert_eq!((field.key.as_str(), field.values.unwrap()), ("metadata.name", vec!["node-1".to_owned()]));
    assert_eq!(pod.node_selector.unwrap()["disk"], "fast");
    assert_eq!(pod.tolerations.unwrap().len(), 1);
    assert_eq!(pod.image_pull_secrets.unwrap()[0].name, "pull");
}

#[test]
fn a_major_upgrade_stages_the_programs_that_really_run_and_mounts_the_volume() {
    let pod = pod(&worker("13.16", "17.11"));
    assert_eq!(init_names(&pod), ["install", "stage"]);
    let stage = &pod.init_containers.as_ref().unwrap()[1];
    assert_eq!(stage.image.as_deref(), Some("registry/postgres:13.16-patched"));
    assert_eq!(
        stage.command.as_deref().unwrap(),
        ["/pgops/bin/pgops-runner", "stage", "--to", "/pgops/old", "--major", "13"]
    );
    let runner = &pod.containers[0];
    assert_eq!(runner.image.as_deref(), Some("postgres:17.11"));
    assert!(mounts(runner).contains(&"/var/pv"));
    let claims: Vec<_> =
        pod.volumes.iter().flatten().filter_map(|it| it.persistent_volume_claim.as_ref()).collect();
    assert_eq!(claims[0].claim_name, "data-orders-0");
}

#[test]
fn a_minor_upgrade_touches_no_volume_and_stages_nothing() {
    let pod = pod(&worker("13.16", "13.23"));
    assert_eq!(init_names(&pod), ["install"]);
    assert!(!mounts(&pod.containers[0]).contains(&"/var/pv"));
    assert!(pod.volumes.unwrap().iter().all(|volume| volume.persistent_volume_claim.is_none()));
}

#[test]
fn every_mount_has_its_volume_and_only_the_runner_sees_password_and_token() {
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
    assert!(mounts(&pod.containers[0]).contains(&"/etc/config"));
}

#[test]
fn the_runner_finds_its_identity_where_clients_look_and_nothing_else_mounts_it() {
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
fn the_plan_in_the_job_is_the_one_that_was_made() {
    let mut worker = worker("13.16", "17.11");
    worker.client_auth_mode = Some(ClientAuthMode::Scram);
    let variables = pod(&worker).containers.remove(0).env.unwrap();
    let value = |name: &str| variables.iter().find(|it| it.name == name).unwrap().value.clone().unwrap();
    assert_eq!(serde_json::from_str::<UpgradePlan>(&value(PLAN_VARIABLE)).unwrap(), worker.plan);
    assert_eq!(value("PGOPS_CLIENT_AUTH_MODE"), "scram");
    assert_eq!(worker.plan.from.image, "registry/postgres:13.16-patched");
}

#[test]
fn the_job_ends_with_the_request_and_not_with_a_node() {
    let job = worker("13.16", "17.11").job(&images()).unwrap();
    assert_eq!(job.metadata.name.as_deref(), Some("orders-17-3f9c21aa"));
    assert_eq!(job.metadata.labels.as_ref().unwrap()[names::LABEL_DATABASE], "orders");
    let spec = job.spec.unwrap();
    assert_eq!(spec.pod_replacement_policy.as_deref(), Some("Failed"));
    assert_eq!(spec.active_deadline_seconds, None);
    let rules = spec.pod_failure_policy.unwrap().rules;
    assert_eq!(rules[0].action, "FailJob");
    let codes = rules[0].on_exit_codes.as_ref().unwrap();
    assert_eq!((codes.values.as_slice(), codes.container_name.as_ref()), ([42].as_slice(), None));
    assert_eq!(rules[1].action, "Ignore");
    assert_eq!(rules[1].on_pod_conditions.as_ref().unwrap()[0].type_, "DisruptionTarget");
}

#[test]
fn a_long_name_is_shortened_in_labels_only() {
    let mut worker = worker("13.16", "17.11");
    worker.plan.request = "o".repeat(200);
    let metadata = metadata(&worker.plan);
    assert!(metadata.labels.unwrap()[names::LABEL_REQUEST].len() <= 63);
    assert_eq!(metadata.annotations.unwrap()[names::LABEL_REQUEST].len(), 200);
}

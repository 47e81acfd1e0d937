use crate::children::Children;
use crate::fixtures::{self, database, version};
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;
use pgops_api::names;
use rstest::rstest;
use serde_json::{Value, json};

fn built(change: Value) -> Children {
    let mut spec = json!({ "replicas": 3 });
    let Value::Object(change) = change else { panic!("{change}") };
    spec.as_object_mut().unwrap().extend(change);
    fixtures::built_with_standbys(&database(spec), &version("13.16", "13.16", None))
}

fn pod(built: &Children) -> PodSpec {
    built.workload.spec.clone().unwrap().template.spec.unwrap()
}

/// Patroni's settings that all servers share.
fn settings(built: &Children) -> Value {
    let config_maps = &built.standbys.as_ref().unwrap().config_maps;
    let config = config_maps.iter().find(|it| it.name_any() == "orders-ha-13-config").unwrap();
    serde_json::from_str(&config.annotations()["config"]).unwrap()
}

fn pretty(object: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(object).unwrap()
}

#[test]
fn typical_standbys_match_the_snapshots() {
    let built = built(json!({ "streamingMode": "Synchronous" }));
    insta::assert_snapshot!("statefulset", pretty(&built.workload));
    let standbys = built.standbys.unwrap();
    insta::assert_snapshot!("access", pretty(&(&standbys.account, &standbys.role, &standbys.binding)));
    insta::assert_snapshot!("config_maps", pretty(&standbys.config_maps));
}

#[test]
fn one_server_has_none_of_it_although_standbys_are_enabled() {
    let single =
        |build: fn(&_, &_) -> Children| build(&database(json!({})), &version("13.16", "13.16", None));
    let (enabled, disabled) = (single(fixtures::built_with_standbys), single(fixtures::built));
    assert!(enabled.standbys.is_none());
    assert_eq!(enabled.workload, disabled.workload);
    assert_eq!(enabled.services, disabled.services);
}

#[test]
fn objects_that_all_databases_have_are_those_of_one_server() {
    let single = fixtures::built(&database(json!({})), &version("13.16", "13.16", None));
    let built = built(json!({}));
    assert_eq!(built.services, single.services);
    assert_eq!(built.budget, single.budget);
    assert_eq!(built.role, single.role);
}

#[test]
fn token_is_mounted_into_the_proxy_alone() {
    let pod = pod(&built(json!({})));
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.service_account_name.as_deref(), Some("orders-ha"));
    let identity = |volume: &str| volume == "identity";
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let with_token: Vec<_> = containers
        .filter(|it| it.volume_mounts.iter().flatten().any(|mount| identity(&mount.name)))
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(with_token, [names::CONTAINER_PATRONI_PROXY]);
}

#[test]
fn proxy_runs_as_long_as_the_server_and_sees_nothing_of_it() {
    let pod = pod(&built(json!({})));
    let proxy =
        pod.init_containers.iter().flatten().find(|it| it.name == names::CONTAINER_PATRONI_PROXY).unwrap();
    assert_eq!(proxy.restart_policy.as_deref(), Some("Always"));
    let mounts: Vec<_> = proxy.volume_mounts.iter().flatten().map(|mount| mount.name.as_str()).collect();
    assert_eq!(mounts, ["identity"]);
    let security = proxy.security_context.as_ref().unwrap();
    assert_eq!(
        (security.allow_privilege_escalation, security.read_only_root_filesystem),
        (Some(false), Some(true))
    );
}

#[test]
fn server_cannot_write_to_the_bundle_or_the_secret() {
    let pod = pod(&built(json!({})));
    let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
    for path in ["/pgops/ha", "/etc/pgops-ha"] {
        let mount = mounts.iter().find(|mount| mount.mount_path == path).unwrap();
        assert_eq!(mount.read_only, Some(true), "{path}");
    }
}

#[test]
fn role_is_set_by_patroni_and_by_no_user() {
    let labels = json!({ "kubedb.com/role": "primary", "pgops.dev/ha": "another", "team": "shop" });
    let built = built(json!({ "podTemplate": { "metadata": { "labels": labels } } }));
    let labels = built.workload.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels.get(names::LABEL_ROLE), None);
    assert_eq!(labels[names::LABEL_HA], "orders-ha-13");
    assert_eq!(labels["team"], "shop");
}

#[test]
fn servers_may_change_their_own_objects_and_create_none() {
    let role = built(json!({})).standbys.unwrap().role;
    for rule in role.rules.unwrap() {
        let is_named = rule.resource_names.is_some();
        let expected: &[&str] = if is_named { &["get", "patch"] } else { &["list", "watch"] };
        assert!(rule.verbs.iter().all(|verb| expected.contains(&verb.as_str())), "{rule:?}");
    }
}

#[rstest]
#[case(2, "Asynchronous", json!(false))]
#[case(3, "Asynchronous", json!(false))]
#[case(2, "Synchronous", json!(true))]
#[case(3, "Synchronous", json!("quorum"))]
fn commit_waits_for_any_of_several_standbys(
    #[case] servers: u32,
    #[case] mode: &str,
    #[case] expected: Value,
) {
    let built = built(json!({ "replicas": servers, "streamingMode": mode }));
    assert_eq!(settings(&built)["synchronous_mode"], expected);
}

/// Two servers cannot both be primary only if the watchdog's limit, a request and the end of a server fit into the lease: 2 × the
/// seconds of a request and one renewal are what Patroni itself demands.
#[test]
fn lease_is_long_enough_for_what_has_to_fit_into_it() {
    let settings = settings(&built(json!({})));
    let seconds = |name: &str| settings[name].as_u64().unwrap();
    assert!(seconds("loop_wait") + 2 * seconds("retry_timeout") <= seconds("ttl"));
    assert!(seconds("ttl") / 2 + seconds("retry_timeout") < seconds("ttl"));
}

#[test]
fn settings_that_all_servers_share_are_copied_from_the_users() {
    let inline = json!({ "inline": { "user.conf": "work_mem = '8MB'\nmax_connections = 300\nwal_level = logical\n" } });
    let settings = settings(&built(json!({ "configuration": inline })));
    let expected = json!({ "max_connections": "300", "wal_level": "logical" });
    assert_eq!(settings["postgresql"]["parameters"], expected);
}

#[test]
fn pause_of_the_database_is_one_of_patroni() {
    let mut paused = database(json!({ "replicas": 3 }));
    let condition =
        json!({ "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z" });
    paused.status = serde_json::from_value(json!({ "conditions": [condition] })).unwrap();
    let of =
        |database: &_| settings(&fixtures::built_with_standbys(database, &version("13.16", "13.16", None)));
    assert_eq!(of(&paused)["pause"], true);
    assert_eq!(of(&database(json!({ "replicas": 3 })))["pause"], Value::Null);
}

#[test]
fn servers_are_spread_over_nodes_unless_the_user_says_where() {
    let spread = |affinity: Value| {
        let pod = pod(&built(json!({ "podTemplate": { "spec": { "affinity": affinity } } })));
        serde_json::to_value(pod.affinity.unwrap()).unwrap()
    };
    let preferred =
        "/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0/podAffinityTerm/topologyKey";
    let node = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [] } } });
    for affinity in [json!(null), node] {
        assert_eq!(spread(affinity).pointer(preferred), Some(&json!("kubernetes.io/hostname")));
    }
    let own = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [] } });
    assert_eq!(spread(own.clone()), own);
}

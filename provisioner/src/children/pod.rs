//! The pod of a database.

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, HTTPGetAction, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use pgops_api::postgres::ClientAuthMode;
use pgops_api::{Postgres, layout, names};

use super::containers::{pod_security, port, restricted, strings};
use super::images::Images;
use super::standbys;
use super::volumes::{install_mounts, server_mounts, volumes};
use crate::design::Design;

/// Seconds that a server has for a clean shutdown: its last checkpoint may write all of its memory.
const GRACE_SECONDS: i64 = 300;

pub fn pod(database: &Postgres, design: &Design, images: &Images) -> PodSpec {
    let user = design.pod.spec.clone();
    let standbys = design.standbys.as_ref();
    let more = |standbys| standbys::init_containers(database, design, images, standbys);
    let mut volumes = volumes(database, design.settings_secret.as_deref(), &design.storage);
    volumes.extend(standbys.into_iter().flat_map(|_| standbys::volumes(database)));
    PodSpec {
        service_account_name: Some(standbys::pod_account(database, standbys)),
        automount_service_account_token: standbys.map(|_| false),
        // Variables such as ORDERS_PORT for each Service of the namespace are of no use here.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(pod_security(design.uid)),
        init_containers: Some(
            [install(images)].into_iter().chain(standbys.into_iter().flat_map(more)).collect(),
        ),
        containers: vec![server(database, design, images)],
        volumes: Some(volumes),
        node_selector: images.args.node_selector(user.node_selector),
        tolerations: user.tolerations,
        affinity: match standbys {
            None => user.affinity,
            Some(_) => Some(standbys::affinity(database, user.affinity)),
        },
        topology_spread_constraints: user.topology_spread_constraints,
        image_pull_secrets: images.args.pull_secrets(user.image_pull_secrets),
        priority_class_name: user.priority_class_name,
        ..PodSpec::default()
    }
}

/// The init container with pgops' programs.
pub fn install(images: &Images) -> Container {
    let passwd = format!("{}/passwd", layout::PASSWD_DIR);
    Container {
        name: "install".to_owned(),
        image: Some(images.instance.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(strings(&[
            "/pgops-instance",
            "install",
            "--to",
            layout::TOOLS_DIR,
            "--passwd",
            &passwd,
        ])),
        resources: Some(images.install_resources.clone().into()),
        security_context: Some(restricted()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(install_mounts()),
        ..Container::default()
    }
}

/// No liveness probe: a server that recovers, or an instance that waits for an upgrade, must not be
/// restarted, and the end of a server ends its container anyway.
fn server(database: &Postgres, design: &Design, images: &Images) -> Container {
    let user = &design.pod.server;
    let instance = format!("{}/pgops-instance", layout::TOOLS_DIR);
    let mut mounts = server_mounts(database, design.settings_secret.as_deref());
    mounts.extend(design.standbys.iter().flat_map(|_| standbys::server_mounts()));
    Container {
        name: names::CONTAINER_POSTGRES.to_owned(),
        image: Some(design.image.image.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(strings(&[&instance, "run"])),
        env: Some(environment(database, design)),
        env_from: user.env_from.clone(),
        resources: user.resources.clone(),
        ports: Some(ports(design)),
        lifecycle: design.standbys.as_ref().map(|_| standbys::lifecycle()),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/ready".to_owned()),
                port: IntOrString::Int(names::INSTANCE_PORT.into()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(1),
            timeout_seconds: Some(3),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        security_context: Some(restricted()),
        // The instance writes one. The log, which is the server's too, has statements and rows of users.
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn ports(design: &Design) -> Vec<ContainerPort> {
    let patroni = design.standbys.iter().map(|_| port("patroni", names::PATRONI_PORT));
    let all = [port(names::CONTAINER_POSTGRES, names::POSTGRES_PORT), port("instance", names::INSTANCE_PORT)];
    all.into_iter().chain(patroni).collect()
}

fn environment(database: &Postgres, design: &Design) -> Vec<EnvVar> {
    let mode = database.spec.client_auth_mode.map(|mode| match mode {
        ClientAuthMode::Md5 => "md5",
        ClientAuthMode::Scram => "scram",
        ClientAuthMode::Cert => "cert",
    });
    let own = [
        ("PGDATA", layout::pgdata(design.major)),
        ("PGOPS_NAMESPACE", database.namespace().unwrap_or_default()),
        ("PGOPS_DATABASE", database.name_any()),
        ("PGOPS_GRACE_SECONDS", GRACE_SECONDS.to_string()),
    ];
    let mode = mode.map(|mode| ("PGOPS_CLIENT_AUTH_MODE", mode.to_owned()));
    let tls = database.server_tls().map(|tls| ("PGOPS_SSL_MODE", tls.mode.as_str().to_owned()));
    own.into_iter()
        .chain(mode)
        .chain(tls)
        .map(|(name, value)| EnvVar { name: name.to_owned(), value: Some(value), value_from: None })
        .chain(design.standbys.iter().flat_map(|_| standbys::environment(database, design)))
        .chain(design.pod.server.env().cloned())
        .collect()
}

//! The Services of a database.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use pgops_api::{Postgres, names};

use super::metadata::{labels, metadata};

/// `<db>-pods` for each pod by name, `<db>` for the primary, `<db>-standby` for the standbys.
pub fn services(database: &Postgres) -> [Service; 3] {
    let name = database.name_any();
    let pods = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        // A pod that waits or recovers must be reachable for an operator who repairs it.
        publish_not_ready_addresses: Some(true),
        ..spec(database, None)
    };
    let primary = ServiceSpec {
        // Explicit, so that it is reset if an upgrade's runner, which sets it during the outage, has left it set.
        publish_not_ready_addresses: Some(false),
        ..spec(database, Some(names::ROLE_PRIMARY))
    };
    let standby = spec(database, Some(names::ROLE_STANDBY));
    [
        service(database, names::pods_service(&name), pods),
        service(database, names::standby_service(&name), standby),
        service(database, name, primary),
    ]
}

fn service(database: &Postgres, name: String, spec: ServiceSpec) -> Service {
    Service { metadata: metadata(database, name), spec: Some(spec), status: None }
}

fn spec(database: &Postgres, role: Option<&str>) -> ServiceSpec {
    let mut selector = labels(&database.name_any());
    selector.extend(role.map(|role| (names::LABEL_ROLE.to_owned(), role.to_owned())));
    ServiceSpec {
        selector: Some(selector),
        ports: Some(vec![ServicePort {
            name: Some(names::CONTAINER_POSTGRES.to_owned()),
            port: names::POSTGRES_PORT.into(),
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::String(names::CONTAINER_POSTGRES.to_owned())),
            ..ServicePort::default()
        }]),
        ..ServiceSpec::default()
    }
}

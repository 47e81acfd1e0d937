//! The Certificates that a database requests: a pure function of its spec.

use kube::ResourceExt;
use pgops_api::certificates::CertificateSource;
use pgops_api::tls::{CERT_MANAGER_GROUP, CertificateAlias, CertificateRequest};
use pgops_api::{Postgres, names};

use super::resource::{Certificate, CertificateSpec, ObjectReference};
use crate::children::metadata;
use crate::secret::SUPERUSER;

/// Domain of the cluster's DNS, unless an administrator has chosen another one.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// What is requested of the issuer; nothing if the user provides the Secret.
pub fn certificate(
    database: &Postgres,
    alias: CertificateAlias,
    source: &CertificateSource,
) -> Option<Certificate> {
    let issuer = source.issuer.as_ref()?;
    let group = issuer.api_group.clone().filter(|group| !group.is_empty());
    let mut request = source.request.clone();
    let user_names = request.dns_names.take().unwrap_or_default();
    let (common_name, dns_names, usage) = match alias {
        CertificateAlias::Server => (None, server_names(database, user_names), "server auth"),
        CertificateAlias::Client => (Some(SUPERUSER.to_owned()), user_names, "client auth"),
    };
    let spec = CertificateSpec {
        secret_name: source.secret.clone(),
        issuer_ref: ObjectReference {
            group: group.unwrap_or_else(|| CERT_MANAGER_GROUP.to_owned()),
            kind: issuer.kind.clone(),
            name: issuer.name.clone(),
        },
        common_name,
        request: without_empty_lists(CertificateRequest { dns_names: Some(dns_names), ..request }),
        usages: ["digital signature", "key encipherment", usage].map(ToOwned::to_owned).into(),
    };
    let name = names::certificate(&database.name_any(), alias);
    let mut certificate = Certificate::new(&name, spec);
    certificate.metadata = metadata(database, name);
    Some(certificate)
}

/// An empty list requests nothing, and is dropped when another component writes the object: it would differ for ever.
fn without_empty_lists(mut request: CertificateRequest) -> CertificateRequest {
    let CertificateRequest { dns_names, ip_addresses, uris, email_addresses, .. } = &mut request;
    for list in [dns_names, ip_addresses, uris, email_addresses] {
        list.take_if(|list| list.is_empty());
    }
    request
}

/// All names by which clients may reach a server, and those that the user has added.
fn server_names(database: &Postgres, of_user: Vec<String>) -> Vec<String> {
    let name = database.name_any();
    let namespace = database.namespace().unwrap_or_default();
    let servers = u32::try_from(database.replicas()).unwrap_or_default().max(1);
    let pods =
        (0..servers).map(|ordinal| format!("{}.{}", names::pod(&name, ordinal), names::pods_service(&name)));
    let mut all = Vec::new();
    for host in [name.clone(), names::standby_service(&name)].into_iter().chain(pods) {
        let in_namespace = format!("{host}.{namespace}");
        let service = format!("{in_namespace}.svc");
        let full = format!("{service}.{CLUSTER_DOMAIN}");
        all.extend([host, in_namespace, service, full]);
    }
    all.push("localhost".to_owned());
    for name in of_user {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use serde_json::{Value, json};

    fn requested(alias: CertificateAlias, certificates: &Value) -> Value {
        let database = database(json!({ "tls": {
            "issuerRef": { "kind": "ClusterIssuer", "name": "ca" }, "certificates": certificates,
        } }));
        let source = database.certificate(alias).unwrap();
        serde_json::to_value(certificate(&database, alias, &source).unwrap()).unwrap()
    }

    #[test]
    fn server_is_certified_for_all_of_its_names_and_those_of_the_user() {
        let found = requested(
            CertificateAlias::Server,
            &json!([{ "alias": "server", "dnsNames": ["db.example.org", "localhost"], "duration": "2160h",
                "subject": { "organizations": ["shop"] }, "ipAddresses": ["127.0.0.1"] }]),
        );
        assert_eq!(found["apiVersion"], "cert-manager.io/v1");
        assert_eq!(found["metadata"]["ownerReferences"][0]["uid"], "5d1c");
        let spec = &found["spec"];
        assert_eq!(spec["secretName"], "orders-server-cert");
        assert_eq!(
            spec["issuerRef"],
            json!({ "group": "cert-manager.io", "kind": "ClusterIssuer", "name": "ca" })
        );
        assert_eq!(
            spec["dnsNames"],
            json!([
                "orders",
                "orders.demo",
                "orders.demo.svc",
                "orders.demo.svc.cluster.local",
                "orders-standby",
                "orders-standby.demo",
                "orders-standby.demo.svc",
                "orders-standby.demo.svc.cluster.local",
                "orders-0.orders-pods",
                "orders-0.orders-pods.demo",
                "orders-0.orders-pods.demo.svc",
                "orders-0.orders-pods.demo.svc.cluster.local",
                "localhost",
                "db.example.org",
            ])
        );
        assert_eq!(spec["usages"], json!(["digital signature", "key encipherment", "server auth"]));
        assert_eq!((&spec["duration"], &spec["ipAddresses"]), (&json!("2160h"), &json!(["127.0.0.1"])));
        assert_eq!(spec["subject"], json!({ "organizations": ["shop"] }));
    }

    #[test]
    fn client_is_certified_as_the_superuser() {
        let spec = requested(CertificateAlias::Client, &json!([]))["spec"].clone();
        assert_eq!(spec["commonName"], "postgres");
        assert_eq!(spec["usages"][2], "client auth");
        assert_eq!(spec.get("dnsNames"), None);
    }
}

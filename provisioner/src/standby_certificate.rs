//! The certificate by which the servers of a database know each other at Patroni's REST API. One pair for all of them, of an authority
//! whose key is thrown away: no other certificate of it can ever be issued, so to have one is to be a server of this database.

use std::time::SystemTime;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_api::{Postgres, names};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// It is not renewed yet, and ends with its database at the latest.
const LIFE: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);
/// Clocks of nodes differ.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Certificates and key, as PEM.
pub struct StandbyCertificate {
    pub authority: String,
    pub certificate: String,
    /// Secret.
    pub key: String,
}

/// A new authority and the one certificate that it signs.
pub fn generate(database: &Postgres, now: Timestamp) -> Result<StandbyCertificate, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = params(Vec::new(), &format!("authority of {}", database.name_any()), now)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_certificate = authority.self_signed(&authority_key)?;

    let key = KeyPair::generate()?;
    let mut server = params(host_names(database), &database.name_any(), now)?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Each server calls the others.
    server.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    server.use_authority_key_identifier_extension = true;
    let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok(StandbyCertificate {
        authority: authority_certificate.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn params(names: Vec<String>, common_name: &str, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = SystemTime::from(now - CLOCK_SKEW).into();
    params.not_after = SystemTime::from(now + LIFE).into();
    Ok(params)
}

/// The names of all pods that the database may ever have, and that of a server for itself.
fn host_names(database: &Postgres) -> Vec<String> {
    let namespace = database.namespace().unwrap_or_default();
    let of_pods = format!("*.{}.{namespace}.svc", names::pods_service(&database.name_any()));
    vec![of_pods, "localhost".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use serde_json::json;

    #[test]
    fn certificate_is_for_the_pods_of_the_database_alone() {
        assert_eq!(host_names(&database(json!({}))), ["*.orders-pods.demo.svc", "localhost"]);
    }

    #[test]
    fn certificates_of_two_databases_have_different_authorities_and_keys() {
        let new = || generate(&database(json!({})), Timestamp::now()).unwrap();
        let (one, other) = (new(), new());
        assert!(one.authority != other.authority && one.key != other.key);
        for pem in [&one.authority, &one.certificate] {
            assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
        }
        assert!(one.key.starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}

//! Which certificates a database has, and what its server does with them.

use crate::Postgres;
use crate::names;
use crate::postgres::ClientAuthMode;
use crate::tls::{CertificateAlias, CertificateRequest, IssuerRef, ServerTls, SslMode};

/// Where a certificate of a database is, and who issues it.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateSource {
    /// Name of the Secret.
    pub secret: String,
    /// The issuer; none if the user provides the Secret.
    pub issuer: Option<IssuerRef>,
    /// What is requested of the issuer.
    pub request: CertificateRequest,
}

impl Postgres {
    /// The SSL mode; without one, as in `KubeDB`, `verify-full` if there are certificates.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        let default = if self.spec.tls.is_some() { SslMode::VerifyFull } else { SslMode::Disable };
        self.spec.ssl_mode.unwrap_or(default)
    }

    /// How the server speaks TLS; none if it does not.
    #[must_use]
    pub fn server_tls(&self) -> Option<ServerTls> {
        let mode = self.ssl_mode();
        (self.spec.tls.is_some() && mode != SslMode::Disable).then(|| ServerTls {
            mode,
            verifies_clients: self.spec.client_auth_mode == Some(ClientAuthMode::Cert),
        })
    }

    /// Where the certificate of an alias is; none if the database does not use one.
    #[must_use]
    pub fn certificate(&self, alias: CertificateAlias) -> Option<CertificateSource> {
        self.server_tls()?;
        let tls = self.spec.tls.as_ref()?;
        let mut requests = tls.certificates.iter().flatten();
        let listed = requests.find(|request| request.alias == alias.as_str()).cloned().unwrap_or_default();
        let issuer = listed.issuer_ref.or_else(|| tls.issuer_ref.clone());
        let named = listed.secret_name.filter(|name| !name.is_empty());
        let secret = match (named, &issuer) {
            (Some(name), _) => name,
            (None, Some(_)) => names::certificate(self.metadata.name.as_deref().unwrap_or_default(), alias),
            (None, None) => return None,
        };
        Some(CertificateSource { secret, issuer, request: listed.request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn database(spec: Value) -> Postgres {
        let mut spec = spec;
        spec["version"] = json!("17.11");
        let object = json!({ "apiVersion": "kubedb.com/v1", "kind": "Postgres", "metadata": { "name": "orders" }, "spec": spec });
        serde_json::from_value(object).unwrap()
    }

    #[rstest]
    #[case(json!({}), None)]
    #[case(json!({ "sslMode": "disable", "tls": { "issuerRef": { "name": "ca" } } }), None)]
    #[case(json!({ "tls": { "issuerRef": { "name": "ca" } } }), Some(SslMode::VerifyFull))]
    #[case(json!({ "sslMode": "prefer", "tls": {} }), Some(SslMode::Prefer))]
    fn server_speaks_tls_if_there_are_certificates(#[case] spec: Value, #[case] expected: Option<SslMode>) {
        assert_eq!(database(spec).server_tls().map(|tls| tls.mode), expected);
    }

    #[test]
    fn certificates_are_issued_into_secrets_with_the_names_of_kubedb() {
        let issued = database(json!({ "tls": {
            "issuerRef": { "kind": "Issuer", "name": "ca" },
            "certificates": [{ "alias": "client", "secretName": "mine", "issuerRef": { "kind": "Issuer", "name": "other" } }],
        } }));
        let server = issued.certificate(CertificateAlias::Server).unwrap();
        assert_eq!(
            (server.secret.as_str(), server.issuer.unwrap().name.as_str()),
            ("orders-server-cert", "ca")
        );
        let client = issued.certificate(CertificateAlias::Client).unwrap();
        assert_eq!((client.secret.as_str(), client.issuer.unwrap().name.as_str()), ("mine", "other"));
    }

    #[test]
    fn secret_without_an_issuer_is_the_users_own() {
        let own =
            database(json!({ "tls": { "certificates": [{ "alias": "server", "secretName": "mine" }] } }));
        let server = own.certificate(CertificateAlias::Server).unwrap();
        assert_eq!((server.secret.as_str(), server.issuer), ("mine", None));
        assert_eq!(own.certificate(CertificateAlias::Client), None);
    }
}

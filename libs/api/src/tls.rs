//! TLS for the clients of a database: the fields of `KubeDB`'s API. What follows from them is in [`crate::certificates`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// API group of cert-manager, whose Issuers are meant if `issuerRef.apiGroup` is not set.
pub const CERT_MANAGER_GROUP: &str = "cert-manager.io";

/// Keys of a Secret with a certificate, in cert-manager's form.
pub const CERTIFICATE_KEY: &str = "tls.crt";
/// The private key of [`CERTIFICATE_KEY`].
pub const PRIVATE_KEY_KEY: &str = "tls.key";
/// The certificates of the authority.
pub const AUTHORITY_KEY: &str = "ca.crt";

/// Certificates for TLS.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Issuer of cert-manager that signs the certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// The certificates, by alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<CertificateSpec>>,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// API group; `cert-manager.io` if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// `Issuer` or `ClusterIssuer`, or the kind of an external issuer.
    #[serde(default)]
    pub kind: String,
    /// Name of the issuer.
    #[serde(default)]
    pub name: String,
}

/// One certificate: where it is, and what is requested of its issuer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// `server`, `client` or `metrics-exporter`.
    #[serde(default)]
    pub alias: String,
    /// Name of the Secret; `<name>-<alias>-cert` if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Issuer of this certificate; that of `spec.tls` if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// What is requested of the issuer.
    #[serde(flatten)]
    pub request: CertificateRequest,
}

/// What a user may request of an issuer, as a Certificate of cert-manager has it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequest {
    /// Fields of the subject, as in a Certificate of cert-manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::open_object")]
    pub subject: Option<serde_json::Value>,
    /// How long it is valid, such as `2160h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How long before its end it is renewed, such as `360h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,
    /// Further DNS names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_names: Option<Vec<String>>,
    /// IP addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_addresses: Option<Vec<String>>,
    /// URIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uris: Option<Vec<String>>,
    /// E-mail addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_addresses: Option<Vec<String>>,
    /// Form of the private key, as in a Certificate of cert-manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::open_object")]
    pub private_key: Option<serde_json::Value>,
}

/// The `sslmode` of libpq that clients of a database use. The server cannot see what a client verifies, so the last three
/// are the same to it: it admits no connection without TLS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// The server does not offer TLS.
    Disable,
    /// Clients choose.
    Allow,
    /// Clients choose.
    Prefer,
    /// TLS only.
    Require,
    /// TLS only; clients verify the authority of the server's certificate.
    VerifyCa,
    /// TLS only; clients verify the server's name too.
    VerifyFull,
}

impl SslMode {
    /// All modes.
    pub const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// As in the API and in libpq.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether the server admits no connection without TLS.
    #[must_use]
    pub fn requires_tls(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }
}

/// Text that is not an [`SslMode`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is not an SSL mode: expected disable, allow, prefer, require, verify-ca or verify-full")]
pub struct ParseSslModeError(String);

impl std::str::FromStr for SslMode {
    type Err = ParseSslModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| ParseSslModeError(text.to_owned()))
    }
}

/// What a certificate of a database is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateAlias {
    /// The server's own.
    Server,
    /// One by which the superuser authenticates.
    Client,
}

impl CertificateAlias {
    /// All that pgops uses.
    pub const ALL: [Self; 2] = [Self::Server, Self::Client];

    /// As in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// How a server speaks TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerTls {
    /// Never [`SslMode::Disable`].
    pub mode: SslMode,
    /// Whether clients authenticate by a certificate.
    pub verifies_clients: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in SslMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), json!(mode.as_str()));
        }
        assert!("on".parse::<SslMode>().unwrap_err().to_string().contains("\"on\""));
    }
}

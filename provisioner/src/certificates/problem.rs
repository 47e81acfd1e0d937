//! Why a certificate does not exist as requested. Each message names the object and the remedy.

use pgops_api::ForeignObject;

/// Why a certificate does not exist as requested.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CertificateProblem {
    /// There is no such kind.
    #[error(
        "spec.tls names an issuer of cert-manager, which is not installed: the API server does not know the kind Certificate of \
         cert-manager.io/v1. Install cert-manager; or provide the certificate yourself: name its Secret in \
         spec.tls.certificates, and remove issuerRef"
    )]
    NoCertManager,
    #[error(
        "the API server refuses Certificate {name}: {words}. Correct the field of spec.tls that it names"
    )]
    Refused {
        name: String,
        /// The API server's message.
        words: String,
    },
    #[error(
        "Certificate {name} is no longer requested, and the API server refuses to delete it: {words}. Until it is deleted, \
         cert-manager renews its Secret"
    )]
    NotRemoved {
        name: String,
        /// The API server's message.
        words: String,
    },
    /// The name is taken.
    #[error(transparent)]
    Taken(ForeignObject),
    #[error(
        "Secret {secret}, which spec.tls.certificates names, exists, and cert-manager would overwrite it. Name another Secret; or          delete it, if nothing else uses it: `kubectl -n {namespace} delete secret {secret}`"
    )]
    SecretTaken { secret: String, namespace: String },
    #[error(
        "Certificate {name} is not ready: {words}. Is {issuer} ready? `kubectl -n {namespace} describe certificate {name}` \
         shows more"
    )]
    NotIssued {
        name: String,
        namespace: String,
        /// Kind and name of the issuer.
        issuer: String,
        /// cert-manager's reason and message.
        words: String,
    },
    #[error(
        "Secret {secret} with the certificate of the {alias} does not exist: no pod of the database, and no upgrade, can start \
         without it; a server that runs keeps what it has read. {}", remedy(.namespace, .secret, *.is_issued)
    )]
    SecretMissing {
        secret: String,
        namespace: String,
        /// `server` or `client`.
        alias: &'static str,
        /// Whether cert-manager makes it.
        is_issued: bool,
    },
}

fn remedy(namespace: &str, secret: &str, is_issued: bool) -> String {
    if is_issued {
        return "cert-manager creates it again; does it run?".to_owned();
    }
    format!(
        "Create it: `kubectl -n {namespace} create secret generic {secret} --from-file=tls.crt --from-file=tls.key \
         --from-file=ca.crt`"
    )
}

impl CertificateProblem {
    /// The reason of the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertManager => "CertManagerMissing",
            Self::Refused { .. } => "CertificateRefused",
            Self::NotRemoved { .. } => "CertificateNotRemoved",
            Self::Taken(_) | Self::SecretTaken { .. } => "NameTaken",
            Self::NotIssued { .. } => "CertificateNotIssued",
            Self::SecretMissing { .. } => "SecretNotFound",
        }
    }
}

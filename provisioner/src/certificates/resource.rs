//! The Certificate of cert-manager, as far as pgops uses it.

use kube::CustomResource;
use pgops_api::tls::CertificateRequest;
use serde::{Deserialize, Serialize};

/// What is requested of an issuer.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Certificate",
    plural = "certificates",
    namespaced,
    status = "CertificateStatus",
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    pub secret_name: String,
    pub issuer_ref: ObjectReference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    #[serde(flatten)]
    pub request: CertificateRequest,
    #[serde(default)]
    pub usages: Vec<String>,
}

/// An issuer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ObjectReference {
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub name: String,
}

/// What cert-manager reports.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CertificateStatus {
    #[serde(default)]
    pub conditions: Vec<CertificateCondition>,
}

/// A condition of a Certificate.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CertificateCondition {
    #[serde(rename = "type", default)]
    pub type_: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
}

impl Certificate {
    /// The condition that says whether the Secret has a certificate as requested.
    pub fn ready(&self) -> Option<&CertificateCondition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == "Ready")
    }
}

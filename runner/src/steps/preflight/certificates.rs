//! A server that speaks TLS keeps the certificate that it has read, whatever becomes of its Secret. The upgrade starts another
//! server, which does not start with what the provisioner reports to be unusable.

use pgops_api::postgres::{CONDITION_CERTIFICATES_READY, REASON_CERTIFICATE_INVALID};
use pgops_api::{Postgres, condition};

use crate::upgrade::{Finding, StepError, UpgradeContext};

pub async fn check(upgrade: &UpgradeContext) -> Result<(), StepError> {
    match unusable(&upgrade.cluster.database().await?) {
        Some(finding) => Err(StepError::Findings(vec![finding])),
        None => Ok(()),
    }
}

fn unusable(database: &Postgres) -> Option<Finding> {
    database.server_tls()?;
    let found = condition::find(database.conditions(), CONDITION_CERTIFICATES_READY)?;
    let is_unusable = !found.is_true() && found.reason.as_deref() == Some(REASON_CERTIFICATE_INVALID);
    is_unusable.then(|| {
        let text = format!(
            "the next server would not start: {}",
            found.message.as_deref().unwrap_or("the certificate in its Secret cannot be used")
        );
        Finding::new("certificate", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn certificate_with_which_no_server_starts_blocks() {
        let database = |status: &str, reason: &str| -> Postgres {
            serde_json::from_value(json!({
                "apiVersion": "kubedb.com/v1", "kind": "Postgres", "metadata": { "name": "orders" },
                "spec": { "version": "17.11", "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } },
                "status": { "conditions": [{
                    "type": "CertificatesReady", "status": status, "reason": reason,
                    "message": "tls.key does not belong to tls.crt",
                    "lastTransitionTime": "2026-11-20T10:00:00Z",
                }] },
            }))
            .unwrap()
        };
        let found = unusable(&database("False", "CertificateInvalid")).unwrap();
        assert!(found.blocks() && found.text.ends_with("tls.key does not belong to tls.crt"), "{found}");
        // The server still starts with what is in the Secret.
        assert_eq!(unusable(&database("False", "IssuerNotReady")), None);
        assert_eq!(unusable(&database("True", "CertificatesReady")), None);
    }
}

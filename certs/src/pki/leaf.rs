//! Serving certificates, issued by a CA.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use rcgen::{Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::authority::{Authority, AuthorityError, CLOCK_SKEW};

/// A serving certificate with its private key.
#[derive(Clone, Debug)]
pub struct ServingCertificate {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
    not_after: Timestamp,
}

impl ServingCertificate {
    pub(super) fn new(key: CertifiedKey, renew_at: Timestamp, not_after: Timestamp) -> Self {
        Self { key: Arc::new(key), renew_at, not_after }
    }

    /// Certificate chain and key in the form that rustls uses.
    #[must_use]
    pub fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Whether it is time to replace it.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.renew_at
    }

    /// When the certificate expires.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

impl Authority {
    /// Issues a serving certificate for the DNS names, with a key of its own. It expires with the CA at the
    /// latest, and is due for renewal after two thirds of its life.
    pub fn issue(
        &self,
        dns_names: &[String],
        now: Timestamp,
        life: SignedDuration,
    ) -> Result<ServingCertificate, AuthorityError> {
        let not_after = self.not_after().min(now + life);
        let (certificate, key) = self.sign(dns_names, now, not_after)?;
        let signer = any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .map_err(AuthorityError::LoadKey)?;
        let renew_at = now + now.duration_until(not_after) * 2 / 3;
        let key = CertifiedKey::new(vec![certificate.der().clone()], signer);
        Ok(ServingCertificate::new(key, renew_at, not_after))
    }

    /// Signs a client certificate.
    #[cfg(test)]
    pub(crate) fn sign_for_client(
        &self,
        names: &[String],
        now: Timestamp,
        not_after: Timestamp,
    ) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = SystemTime::from(now - CLOCK_SKEW).into();
        params.not_after = SystemTime::from(not_after).into();
        params.signed_by(&key, self.issuer()).unwrap()
    }

    /// Signs a certificate for a new key.
    pub(crate) fn sign(
        &self,
        dns_names: &[String],
        now: Timestamp,
        not_after: Timestamp,
    ) -> Result<(Certificate, KeyPair), AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Generate)?;
        let mut params = CertificateParams::new(dns_names).map_err(AuthorityError::Generate)?;
        params.distinguished_name.push(DnType::CommonName, "pgops webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = SystemTime::from(now - CLOCK_SKEW).into();
        params.not_after = SystemTime::from(not_after).into();
        let certificate = params.signed_by(&key, self.issuer()).map_err(AuthorityError::Generate)?;
        Ok((certificate, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{DAY, authority, begin};

    #[test]
    fn serving_certificate_is_due_after_two_thirds_of_its_life() {
        let serving = authority().issue(&["a".into()], begin(), DAY * 90).unwrap();
        assert!(!serving.is_due(begin() + DAY * 60 - SignedDuration::from_secs(1)));
        assert!(serving.is_due(begin() + DAY * 60));
        assert_eq!(serving.not_after(), begin() + DAY * 90);
    }

    #[test]
    fn serving_certificate_does_not_outlive_its_authority() {
        let authority = authority();
        let late = authority.not_after() - SignedDuration::from_hours(1);
        let serving = authority.issue(&["a".into()], late, DAY * 7).unwrap();
        assert_eq!(serving.not_after(), authority.not_after());
    }
}

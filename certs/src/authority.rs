//! The certification authority, and the serving certificates that it signs. Pure but for randomness.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Serving;

/// Certificates begin in the past, so that an API server whose clock is behind accepts them.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Why an authority cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate is no PEM.
    #[error("the certificate is no PEM")]
    CertificatePem(#[source] rustls::pki_types::pem::Error),
    /// The certificate's PEM holds something else.
    #[error("the certificate is no X.509 certificate")]
    Certificate(#[source] x509_parser::nom::Err<x509_parser::error::X509Error>),
    /// The private key cannot be read.
    #[error("the private key is no PEM with a key in PKCS#8")]
    Key(#[source] rcgen::Error),
    /// The two halves are of different pairs.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The certificate may not sign others.
    #[error("the certificate is not a certification authority's")]
    NoAuthority,
    /// A certificate cannot be made.
    #[error("failed to make a certificate")]
    Make(#[source] rcgen::Error),
    /// rustls does not take the new key.
    #[error("failed to use a new private key")]
    Use(#[source] rustls::Error),
}

/// A certification authority: what signs the serving certificates, and what API servers trust.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a new key (ECDSA P-256).
    pub fn generate(now: Timestamp, life: SignedDuration) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "pgops webhook authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = SystemTime::from(now - CLOCK_SKEW).into();
        params.not_after = SystemTime::from(now + life).into();
        let certificate = params.self_signed(&key).map_err(AuthorityError::Make)?.pem();
        Self::read(&certificate, &key.serialize_pem())
    }

    /// Reads an authority from PEM and checks that it can sign, but for its dates.
    pub fn read(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let der =
            CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(AuthorityError::CertificatePem)?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(AuthorityError::Certificate)?;
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Key)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Mismatch);
        }
        if !parsed.is_ca() {
            return Err(AuthorityError::NoAuthority);
        }
        let (not_before, not_after) = validity(&parsed);
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(AuthorityError::Make)?;
        Ok(Self { certificate: certificate.to_owned(), der, not_before, not_after, issuer })
    }

    /// The certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The certificate, as DER.
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The private key, as PEM. A secret.
    pub(crate) fn private_key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// When the authority expires.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether the authority has expired.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after <= now
    }

    /// When a successor is due: after two thirds of its life, or of the life that is set by now, if
    /// that is shorter.
    pub(crate) fn due(&self, life: SignedDuration) -> Timestamp {
        self.not_before + self.not_before.duration_until(self.not_after).min(life) * 2 / 3
    }

    /// A serving certificate for the DNS names, with a key of its own. It ends with the authority at
    /// the latest, and is due for renewal after two thirds of its life.
    pub fn issue(
        &self,
        names: &[String],
        now: Timestamp,
        life: SignedDuration,
    ) -> Result<Serving, AuthorityError> {
        let not_after = self.not_after.min(now + life);
        let (certificate, key) = self.sign(names, now, not_after)?;
        let signer = any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .map_err(AuthorityError::Use)?;
        let renew_at = now + now.duration_until(not_after) * 2 / 3;
        Ok(Serving::new(CertifiedKey::new(vec![certificate.der().clone()], signer), renew_at, not_after))
    }

    /// Signs a certificate for servers of these names.
    pub(crate) fn sign(
        &self,
        names: &[String],
        now: Timestamp,
        not_after: Timestamp,
    ) -> Result<(Certificate, KeyPair), AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Make)?;
        let mut params = CertificateParams::new(names).map_err(AuthorityError::Make)?;
        params.distinguished_name.push(DnType::CommonName, "pgops webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = SystemTime::from(now - CLOCK_SKEW).into();
        params.not_after = SystemTime::from(not_after).into();
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Make)?;
        Ok((certificate, key))
    }
}

/// When a certificate begins and ends. A date that no clock reaches is never.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    (
        Timestamp::from_second(validity.not_before.timestamp()).unwrap_or(Timestamp::MIN),
        Timestamp::from_second(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn authority() -> Authority {
        Authority::generate(now(), DAY * 365).unwrap()
    }

    #[test]
    fn an_authority_survives_its_way_through_the_secret() {
        let made = authority();
        let read = Authority::read(made.certificate(), &made.private_key()).unwrap();
        assert_eq!(read.not_after(), now() + DAY * 365);
        assert_eq!(read.certificate(), made.certificate());
    }

    #[test]
    fn a_serving_certificate_is_due_after_two_thirds_of_its_life() {
        let serving = authority().issue(&["a".into()], now(), DAY * 90).unwrap();
        assert!(!serving.is_due(now() + DAY * 60 - SignedDuration::from_secs(1)));
        assert!(serving.is_due(now() + DAY * 60));
        assert_eq!(serving.not_after(), now() + DAY * 90);
    }

    #[test]
    fn a_serving_certificate_does_not_outlive_its_authority() {
        let authority = authority();
        let late = authority.not_after() - SignedDuration::from_hours(1);
        let serving = authority.issue(&["a".into()], late, DAY * 7).unwrap();
        assert_eq!(serving.not_after(), authority.not_after());
    }

    #[test]
    fn a_successor_is_due_earlier_where_a_shorter_life_is_set_by_now() {
        let (made, begin) = (authority(), now() - CLOCK_SKEW);
        assert_eq!(made.due(DAY * 1000), begin + (DAY * 365 + CLOCK_SKEW) * 2 / 3);
        assert_eq!(made.due(DAY * 30), begin + DAY * 20);
    }

    #[test]
    fn refuses_the_key_of_another_authority() {
        let (one, other) = (authority(), authority());
        let error = Authority::read(one.certificate(), &other.private_key()).unwrap_err();
        assert!(matches!(error, AuthorityError::Mismatch), "{error}");
    }

    #[test]
    fn refuses_a_certificate_that_may_not_sign() {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        let error = Authority::read(&leaf.pem(), &key.serialize_pem()).unwrap_err();
        assert!(matches!(error, AuthorityError::NoAuthority), "{error}");
    }

    #[rstest]
    #[case::empty("")]
    #[case::words("hello")]
    #[case::half("-----BEGIN CERTIFICATE-----\nMIIB")]
    #[case::no_certificate("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")]
    fn refuses_what_is_no_certificate(#[case] certificate: &str) {
        let key = authority().private_key();
        assert!(Authority::read(certificate, &key).is_err());
    }
}

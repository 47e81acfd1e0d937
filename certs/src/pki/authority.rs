//! The certificate authority (CA). Pure except for the randomness of its key.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::validity::validity;

/// Certificates are valid from this long before they are issued, so that an API server whose clock is behind
/// accepts them.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Why a CA cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate is not PEM.
    #[error("the certificate is not PEM")]
    CertificatePem(#[source] rustls::pki_types::pem::Error),
    /// The PEM does not hold an X.509 certificate.
    #[error("the PEM does not hold an X.509 certificate")]
    Certificate(#[source] x509_parser::nom::Err<x509_parser::error::X509Error>),
    /// The private key cannot be read.
    #[error("the private key is not a PKCS#8 key in PEM")]
    Key(#[source] rcgen::Error),
    /// Certificate and key are not a pair.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The certificate may not sign others.
    #[error("the certificate is not a CA certificate")]
    NotCa,
    /// A certificate cannot be generated.
    #[error("failed to generate a certificate")]
    Generate(#[source] rcgen::Error),
    /// rustls does not accept the new key.
    #[error("failed to load the new private key")]
    LoadKey(#[source] rustls::Error),
}

/// A certificate authority: it signs the serving certificates, and API servers trust it.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Generates a CA with a new key (ECDSA P-256).
    pub fn generate(now: Timestamp, life: SignedDuration) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Generate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "pgops webhook authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = SystemTime::from(now - CLOCK_SKEW).into();
        params.not_after = SystemTime::from(now + life).into();
        let certificate = params.self_signed(&key).map_err(AuthorityError::Generate)?.pem();
        Self::read(&certificate, &key.serialize_pem())
    }

    /// Reads a CA from PEM and checks that it can sign; its dates are not checked.
    pub fn read(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let der =
            CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(AuthorityError::CertificatePem)?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(AuthorityError::Certificate)?;
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Key)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Mismatch);
        }
        if !parsed.is_ca() {
            return Err(AuthorityError::NotCa);
        }
        let (not_before, not_after) = validity(&parsed);
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(AuthorityError::Generate)?;
        Ok(Self { certificate: certificate.to_owned(), der, not_before, not_after, issuer })
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The certificate as DER.
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The private key as PEM; secret.
    pub(crate) fn private_key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The certificate and private key in the form that signs other certificates.
    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// When the CA expires.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after <= now
    }

    /// When the next CA is due: after two thirds of this one's life, or of the configured life if that is
    /// shorter.
    pub(crate) fn rotation_due(&self, life: SignedDuration) -> Timestamp {
        self.not_before + self.not_before.duration_until(self.not_after).min(life) * 2 / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{DAY, authority, begin};
    use rstest::rstest;

    #[test]
    fn authority_survives_a_round_trip_through_pem() {
        let made = authority();
        let read = Authority::read(made.certificate(), &made.private_key()).unwrap();
        assert_eq!(read.not_after(), begin() + DAY * 365);
        assert_eq!(read.certificate(), made.certificate());
    }

    #[test]
    fn rotation_is_due_earlier_when_a_shorter_life_is_configured() {
        let made = authority();
        let begin = begin() - CLOCK_SKEW;
        assert_eq!(made.rotation_due(DAY * 1000), begin + (DAY * 365 + CLOCK_SKEW) * 2 / 3);
        assert_eq!(made.rotation_due(DAY * 30), begin + DAY * 20);
    }

    #[test]
    fn key_of_another_authority_is_rejected() {
        let one = authority();
        let other = authority();
        let error = Authority::read(one.certificate(), &other.private_key()).unwrap_err();
        assert!(matches!(error, AuthorityError::Mismatch), "{error}");
    }

    #[test]
    fn certificate_that_may_not_sign_is_rejected() {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        let error = Authority::read(&leaf.pem(), &key.serialize_pem()).unwrap_err();
        assert!(matches!(error, AuthorityError::NotCa), "{error}");
    }

    #[rstest]
    #[case::empty("")]
    #[case::text("hello")]
    #[case::truncated("-----BEGIN CERTIFICATE-----\nMIIB")]
    #[case::not_x509("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")]
    fn anything_but_a_certificate_is_rejected(#[case] certificate: &str) {
        let key = authority().private_key();
        assert!(Authority::read(certificate, &key).is_err());
    }
}

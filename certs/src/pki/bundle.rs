//! A set of trusted certificates, and its PEM.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::validity::validity;

/// Certificates to trust. Equal sets have equal PEM, so that replicas that trust the same CAs write the same
/// `caBundle`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bundle(BTreeSet<Vec<u8>>);

impl FromIterator<CertificateDer<'static>> for Bundle {
    fn from_iter<T: IntoIterator<Item = CertificateDer<'static>>>(certificates: T) -> Self {
        Self(certificates.into_iter().map(|certificate| certificate.to_vec()).collect())
    }
}

impl Bundle {
    /// The certificates in a PEM; anything else in it is skipped.
    pub(crate) fn read(pem: &[u8]) -> Self {
        CertificateDer::pem_slice_iter(pem)
            .flatten()
            .filter(|certificate| X509Certificate::from_der(certificate).is_ok())
            .collect()
    }

    pub(crate) fn to_pem(&self) -> String {
        let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let block = |der: &Vec<u8>| pem::encode_config(&pem::Pem::new("CERTIFICATE", der.as_slice()), lines);
        self.0.iter().map(block).collect()
    }

    pub(crate) fn certificates(&self) -> impl Iterator<Item = CertificateDer<'_>> {
        self.0.iter().map(|der| CertificateDer::from(der.as_slice()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// Without expired certificates.
    pub(crate) fn valid(&self, now: Timestamp) -> Self {
        self.filter(|certificate| validity(certificate).1 > now)
    }

    /// Without certificates that have the same subject as this one.
    pub(crate) fn without_subject_of(&self, certificate: &CertificateDer<'_>) -> Self {
        let Ok((_, named)) = X509Certificate::from_der(certificate) else { return self.clone() };
        self.filter(|other| other.subject().as_raw() != named.subject().as_raw())
    }

    /// When the last of the certificates expires.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|der| Some(validity(&X509Certificate::from_der(der).ok()?.1).1)).max()
    }

    fn filter(&self, predicate: impl Fn(&X509Certificate<'_>) -> bool) -> Self {
        let matching = |der: &&Vec<u8>| {
            X509Certificate::from_der(der).is_ok_and(|(_, certificate)| predicate(&certificate))
        };
        Self(self.0.iter().filter(matching).cloned().collect())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;
    use jiff::SignedDuration;

    #[test]
    fn bundle_skips_garbage_and_its_pem_has_one_order() {
        let one = authority(1);
        let other = authority(1);
        let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let pem = |parts: &[&str]| Bundle::read(parts.concat().as_bytes()).to_pem();
        let both = pem(&[one.certificate(), other.certificate()]);
        assert_eq!(both.matches("BEGIN").count(), 2);
        assert_eq!(pem(&["# a comment\n", other.certificate(), garbage, one.certificate()]), both);
        assert_eq!(pem(&[&both, one.certificate()]), both);
    }

    #[test]
    fn bundle_drops_expired_certificates() {
        let short = authority(1);
        let long = authority(2);
        let both = Bundle::from_iter([short.der().clone(), long.der().clone()]);
        assert_eq!(both.valid(short.not_after()), Bundle::from_iter([long.der().clone()]));
        assert_eq!(both.not_after(), Some(long.not_after()));
    }

    fn authority(days: i64) -> Authority {
        Authority::generate(Timestamp::now(), SignedDuration::from_hours(24 * days)).unwrap()
    }
}

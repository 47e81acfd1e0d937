//! A set of certificates to trust, and its text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::validity;

/// Certificates to trust. A set has one text only, so that replicas that mean the same write the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bundle(BTreeSet<Vec<u8>>);

impl FromIterator<CertificateDer<'static>> for Bundle {
    fn from_iter<T: IntoIterator<Item = CertificateDer<'static>>>(certificates: T) -> Self {
        Self(certificates.into_iter().map(|certificate| certificate.to_vec()).collect())
    }
}

impl Bundle {
    /// The certificates in a PEM; what is none is left out.
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

    /// Those that have not expired.
    pub(crate) fn valid(&self, now: Timestamp) -> Self {
        self.filter(|certificate| validity(certificate).1 > now)
    }

    /// Those of another name than this certificate's.
    pub(crate) fn unlike(&self, certificate: &CertificateDer<'_>) -> Self {
        let Ok((_, named)) = X509Certificate::from_der(certificate) else { return self.clone() };
        self.filter(|other| other.subject().as_raw() != named.subject().as_raw())
    }

    /// When the last of them expires.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|der| Some(validity(&X509Certificate::from_der(der).ok()?.1).1)).max()
    }

    fn filter(&self, keep: impl Fn(&X509Certificate<'_>) -> bool) -> Self {
        let kept =
            |der: &&Vec<u8>| X509Certificate::from_der(der).is_ok_and(|(_, certificate)| keep(&certificate));
        Self(self.0.iter().filter(kept).cloned().collect())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;
    use jiff::SignedDuration;

    #[test]
    fn what_is_no_certificate_is_left_out_and_the_text_does_not_depend_on_the_order() {
        let (one, other) = (authority(1), authority(1));
        let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let text = |parts: &[&str]| Bundle::read(parts.concat().as_bytes()).to_pem();
        let both = text(&[one.certificate(), other.certificate()]);
        assert_eq!(both.matches("BEGIN").count(), 2);
        assert_eq!(text(&["# ours\n", other.certificate(), garbage, one.certificate()]), both);
        assert_eq!(text(&[&both, one.certificate()]), both);
    }

    #[test]
    fn the_expired_are_left_out() {
        let (short, long) = (authority(1), authority(2));
        let both = Bundle::from_iter([short.der().clone(), long.der().clone()]);
        assert_eq!(both.valid(short.not_after()), Bundle::from_iter([long.der().clone()]));
        assert_eq!(both.not_after(), Some(long.not_after()));
    }

    fn authority(days: i64) -> Authority {
        Authority::generate(Timestamp::now(), SignedDuration::from_hours(24 * days)).unwrap()
    }
}

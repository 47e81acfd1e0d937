//! The dates of a certificate.

use jiff::Timestamp;
use x509_parser::prelude::X509Certificate;

/// The certificate's `notBefore` and `notAfter`. A date beyond what a timestamp can hold is the earliest or
/// latest timestamp.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    (
        Timestamp::from_second(validity.not_before.timestamp()).unwrap_or(Timestamp::MIN),
        Timestamp::from_second(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX),
    )
}

//! What one replica serves with.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::sign::CertifiedKey;

/// A serving certificate with its private key.
#[derive(Clone, Debug)]
pub struct Serving {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
    not_after: Timestamp,
}

impl Serving {
    pub(crate) fn new(key: CertifiedKey, renew_at: Timestamp, not_after: Timestamp) -> Self {
        Self { key: Arc::new(key), renew_at, not_after }
    }

    /// Certificate and key, as rustls takes them.
    #[must_use]
    pub fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Whether another should be made.
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

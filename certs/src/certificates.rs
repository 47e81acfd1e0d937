//! What the rest of the process sees: the current certificate and its status.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::pki::ServingCertificate;
use crate::resolver::Resolver;
use crate::settings::Source;

/// The state of this replica's certificates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Where they come from; none before a [manager](crate::CertificateManager) exists.
    pub source: Option<Source>,
    /// When the serving certificate expires; none while there is no certificate.
    pub serving_until: Option<Timestamp>,
    /// When the CA expires that signed it.
    pub authority_until: Option<Timestamp>,
    /// Why the latest certificate or CA was rejected, if it was. The previous one stays in use.
    pub rejection: Option<String>,
}

/// The certificates of this replica, for the TLS server and for metrics. All clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    resolver: Arc<Resolver>,
    status: Arc<ArcSwap<Status>>,
}

impl Certificates {
    /// The certificate resolver of a TLS server.
    #[must_use]
    pub fn resolver(&self) -> Arc<Resolver> {
        self.resolver.clone()
    }

    /// The current status.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// Whether there is a certificate to serve with.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.status.load().serving_until.is_some()
    }

    #[cfg(test)]
    pub(crate) fn serving(&self) -> Option<Arc<ServingCertificate>> {
        self.resolver.serving()
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.resolver.is_due(now)
    }

    /// Serves with this certificate from now on.
    pub(crate) fn serve(&self, serving: ServingCertificate, authority_until: Option<Timestamp>) {
        let serving_until = Some(serving.not_after());
        self.resolver.replace(serving);
        self.update(|status| Status { serving_until, authority_until, ..status });
    }

    pub(crate) fn set_source(&self, source: &Source) {
        self.update(|status| Status { source: Some(source.clone()), ..status });
    }

    pub(crate) fn set_rejection(&self, rejection: Option<&String>) {
        self.update(|status| Status { rejection: rejection.cloned(), ..status });
    }

    fn update(&self, update: impl Fn(Status) -> Status) {
        self.status.rcu(|status| update(Status::clone(status)));
    }
}

//! What others see: the certificate of the moment, and how it stands with it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::{Resolver, Serving, Source};

/// How it stands with the certificates of this replica.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Where they come from; none before anything [keeps](crate::Keeper) them.
    pub source: Option<Source>,
    /// Until when the serving certificate is valid; none yet while there is none.
    pub serving_until: Option<Timestamp>,
    /// Until when the authority is valid that signed it.
    pub authority_until: Option<Timestamp>,
    /// Why what was found last was not taken, if it was not. What was good before is kept.
    pub rejection: Option<String>,
}

/// The certificates of this replica, for whoever serves with them or tells about them. All clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    resolver: Arc<Resolver>,
    status: Arc<ArcSwap<Status>>,
}

impl Certificates {
    /// What a TLS server asks for its certificate.
    #[must_use]
    pub fn resolver(&self) -> Arc<Resolver> {
        self.resolver.clone()
    }

    /// How it stands with them now.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// Whether there is one to serve with.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.status.load().serving_until.is_some()
    }

    #[cfg(test)]
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.resolver.serving()
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.resolver.is_due(now)
    }

    pub(crate) fn serve(&self, serving: Serving, authority_until: Option<Timestamp>) {
        let serving_until = Some(serving.not_after());
        self.resolver.replace(serving);
        self.change(|status| Status { serving_until, authority_until, ..status });
    }

    pub(crate) fn begin(&self, source: &Source) {
        self.change(|status| Status { source: Some(source.clone()), ..status });
    }

    pub(crate) fn reject(&self, rejection: Option<&String>) {
        self.change(|status| Status { rejection: rejection.cloned(), ..status });
    }

    fn change(&self, change: impl Fn(Status) -> Status) {
        self.status.rcu(|status| change(Status::clone(status)));
    }
}

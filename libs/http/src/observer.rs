//! What a listener reports about itself.

/// Receives what happens to a listener's connections, for metrics.
pub trait Observer: Send + Sync {
    /// The number of open connections has changed.
    fn set_connections(&self, listener: &'static str, open: usize);

    /// A connection ended before its client closed it; the reason is one word.
    fn count_closed(&self, listener: &'static str, reason: &'static str);
}

/// For a program that has no metrics.
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    fn set_connections(&self, _: &'static str, _: usize) {}

    fn count_closed(&self, _: &'static str, _: &'static str) {}
}

//! Watches that notice when the API server does not answer any more.
//!
//! A connection that is lost without a word looks like a cluster in which nothing happens. So the API server is asked to end
//! each watch after a short time, and one that says nothing for a little longer is dead.

use std::time::Duration;

use kube::runtime::watcher;

/// How long one watch lasts, in seconds; the next one continues where it ended.
const WATCH_SECONDS: u32 = 30;

/// How long the API server may take to send anything. Longer than a watch in which nothing happens.
pub const READ_TIMEOUT: Duration = Duration::from_secs(45);

/// How all objects of a kind are watched.
#[must_use]
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_watch_ends_before_its_connection_is_taken_for_dead() {
        let watch = Duration::from_secs(u64::from(config().timeout.unwrap()));
        assert!(watch + Duration::from_secs(10) < READ_TIMEOUT && READ_TIMEOUT < Duration::from_mins(1));
    }
}

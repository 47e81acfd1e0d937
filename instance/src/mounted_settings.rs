//! When settings that are mounted have changed so that something is to be done about them.

use std::time::Duration;

use tokio::time::Instant;

/// Time after which contents that the server would reject are checked again: others that it reads may have been the cause.
const RECHECK: Duration = Duration::from_mins(1);

/// The settings of the `Postgres` itself that the server has to read. A file that is missing says nothing: its ConfigMap was
/// deleted, which the kubelet passes on as an empty volume, and the provisioner creates it again.
pub fn changed(mounted: Option<String>, seen: &str) -> Option<String> {
    mounted.filter(|now| now != seen)
}

/// The contents of the `configSecret` that were checked last.
pub struct SecretCheck {
    seen: Vec<u8>,
    /// When the server was asked last, if it would reject them.
    rejected: Option<Instant>,
}

impl SecretCheck {
    /// The server was started with these.
    pub fn new(started_with: Option<Vec<u8>>) -> Self {
        Self { seen: started_with.unwrap_or_default(), rejected: None }
    }

    /// The contents that have to be checked now. A Secret that was deleted stays mounted.
    pub fn due(&self, mounted: Option<Vec<u8>>, now: Instant) -> Option<Vec<u8>> {
        let is_old = self.rejected.is_some_and(|at| now.saturating_duration_since(at) >= RECHECK);
        mounted.filter(|mounted| *mounted != self.seen || is_old)
    }

    /// These were checked.
    pub fn record(&mut self, checked: Vec<u8>, is_rejected: bool, now: Instant) {
        self.seen = checked;
        self.rejected = is_rejected.then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_file_is_not_taken_for_empty_settings() {
        let changed = |mounted: Option<&str>| changed(mounted.map(ToOwned::to_owned), "work_mem = '8MB'");
        assert_eq!(changed(None), None);
        assert_eq!(changed(Some("work_mem = '8MB'")), None);
        assert_eq!(changed(Some("")).as_deref(), Some(""), "the user has removed them");
        assert_eq!(changed(Some("work_mem = '9MB'")).as_deref(), Some("work_mem = '9MB'"));
    }

    #[tokio::test(start_paused = true)]
    async fn contents_of_a_secret_are_checked_when_they_change_and_again_while_they_are_rejected() {
        let contents = |text: &str| Some(text.as_bytes().to_vec());
        let mut check = SecretCheck::new(contents("good"));
        assert_eq!(check.due(contents("good"), Instant::now()), None);
        assert_eq!(check.due(None, Instant::now()), None);
        assert_eq!(check.due(contents("bad"), Instant::now()), contents("bad"));
        check.record(b"bad".to_vec(), true, Instant::now());
        assert_eq!(check.due(contents("bad"), Instant::now()), None);
        tokio::time::advance(RECHECK).await;
        assert_eq!(check.due(contents("bad"), Instant::now()), contents("bad"));
        assert_eq!(check.due(contents("good"), Instant::now()), contents("good"));
        check.record(b"good".to_vec(), false, Instant::now());
        tokio::time::advance(RECHECK).await;
        assert_eq!(check.due(contents("good"), Instant::now()), None);
    }
}

//! What is configured: the source of the certificates, and how long they live.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

/// A shorter serving certificate could expire between two periodic checks.
const MIN_SERVING_LIFE: Duration = Duration::from_mins(10);
/// Longer durations overflow the dates of a certificate; in practice they never expire.
const CENTURY: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

/// Where certificates come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// pgops' own CA, stored in this Secret.
    SelfSigned {
        /// Name of the Secret.
        secret: String,
    },
    /// The files `tls.crt`, `tls.key` and `ca.crt` in this directory, managed elsewhere.
    Directory(PathBuf),
}

/// Durations that contradict each other.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The serving certificate would have to be renewed all the time.
    #[error("the serving certificate's life of {0:?} is too short: set 10 minutes or more")]
    ServingTooShort(Duration),
    /// Every serving certificate would be cut short by the expiry of its CA.
    #[error(
        "the CA's life of {authority:?} is too short: set more than three times {serving:?}, the serving certificate's"
    )]
    AuthorityTooShort {
        /// Life of a CA.
        authority: Duration,
        /// Life of a serving certificate.
        serving: Duration,
    },
    /// The next CA would not sign before the current one expires.
    #[error("the overlap of {overlap:?} is too long: set at most a twelfth of {authority:?}, the CA's life")]
    OverlapTooLong {
        /// Time that API servers are given to learn of a CA.
        overlap: Duration,
        /// Life of a CA.
        authority: Duration,
    },
}

/// How long certificates live, and how long CAs overlap.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub(crate) authority_life: SignedDuration,
    pub(crate) serving_life: SignedDuration,
    pub(crate) overlap: SignedDuration,
}

impl Settings {
    /// Life of a CA, life of a serving certificate, and the time within which every API server is certain to
    /// have learned of a changed webhook configuration.
    pub fn new(authority: Duration, serving: Duration, overlap: Duration) -> Result<Self, SettingsError> {
        if serving < MIN_SERVING_LIFE {
            return Err(SettingsError::ServingTooShort(serving));
        }
        // A third of the CA's life is left when its successor is announced.
        if authority / 3 <= serving {
            return Err(SettingsError::AuthorityTooShort { authority, serving });
        }
        if overlap > authority / 12 {
            return Err(SettingsError::OverlapTooLong { overlap, authority });
        }
        let signed = |time: Duration| SignedDuration::try_from(time).unwrap_or(CENTURY).min(CENTURY);
        Ok(Self {
            authority_life: signed(authority),
            serving_life: signed(serving),
            overlap: signed(overlap),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::serving(9000, 9, 1, "serving certificate's life of 540s")]
    #[case::authority(30, 10, 1, "more than three times 600s")]
    #[case::overlap(120, 10, 11, "at most a twelfth of 7200s")]
    fn contradictory_durations_are_rejected(
        #[case] authority: u64,
        #[case] serving: u64,
        #[case] overlap: u64,
        #[case] expected: &str,
    ) {
        let minutes = Duration::from_mins;
        let error = Settings::new(minutes(authority), minutes(serving), minutes(overlap)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

//! How long things live.

use std::time::Duration;

use jiff::SignedDuration;

/// A shorter serving certificate could run out between two looks at the clock.
const SHORTEST_SERVING: Duration = Duration::from_mins(10);

/// Durations that do not fit together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The serving certificate would have to be renewed all the time.
    #[error("the serving certificate's life of {0:?} is too short: give 10 minutes or more")]
    ServingTooShort(Duration),
    /// Every serving certificate would be cut short by its authority.
    #[error(
        "the authority's life of {authority:?} is too short: give more than three times {serving:?}, the serving certificate's"
    )]
    AuthorityTooShort {
        /// Life of an authority.
        authority: Duration,
        /// Life of a serving certificate.
        serving: Duration,
    },
    /// The successor would not sign before its predecessor ends.
    #[error(
        "the overlap of {overlap:?} is too long: give at most a twelfth of {authority:?}, the authority's life"
    )]
    OverlapTooLong {
        /// Time that API servers are given to learn of an authority.
        overlap: Duration,
        /// Life of an authority.
        authority: Duration,
    },
}

/// How long certificates live, and authorities overlap.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub(crate) authority_life: SignedDuration,
    pub(crate) serving_life: SignedDuration,
    pub(crate) overlap: SignedDuration,
}

impl Settings {
    /// Life of an authority, life of a serving certificate, and the time within which every API server
    /// surely learns of a changed webhook configuration.
    pub fn new(authority: Duration, serving: Duration, overlap: Duration) -> Result<Self, SettingsError> {
        if serving < SHORTEST_SERVING {
            return Err(SettingsError::ServingTooShort(serving));
        }
        // A third of its life is left when the successor is announced.
        if authority / 3 <= serving {
            return Err(SettingsError::AuthorityTooShort { authority, serving });
        }
        if overlap > authority / 12 {
            return Err(SettingsError::OverlapTooLong { overlap, authority });
        }
        // What is too long for a certificate's dates lasts for ever.
        let signed = |time: Duration| SignedDuration::try_from(time).unwrap_or(CENTURY).min(CENTURY);
        Ok(Self {
            authority_life: signed(authority),
            serving_life: signed(serving),
            overlap: signed(overlap),
        })
    }
}

const CENTURY: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::serving(9000, 9, 1, "serving certificate's life of 540s")]
    #[case::authority(30, 10, 1, "more than three times 600s")]
    #[case::overlap(120, 10, 11, "at most a twelfth of 7200s")]
    fn refuses_what_does_not_fit_together(
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

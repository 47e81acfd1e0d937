//! The decision when one CA follows another. Pure except for the generation of keys.
//!
//! ```text
//!  current ──announce──► current, next ──promote──► current (was next), previous ──retire──► current
//! ```
//!
//! API servers trust every CA of the set, and only `current` signs. So a CA signs only after every API server
//! trusts it, and is trusted until no replica serves with a certificate that it signed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::pki::{Authority, AuthorityError, Bundle};
use crate::settings::Settings;

/// The CAs of an installation.
#[derive(Clone, Debug)]
pub(crate) struct CaSet {
    /// Signs.
    pub current: Arc<Authority>,
    /// Signs after its promotion.
    pub next: Option<Arc<Authority>>,
    /// Signed earlier; their keys are deleted.
    pub previous: Bundle,
    /// When the set last changed, by the clock of the replica that changed it.
    pub changed_at: Option<Timestamp>,
    /// An operator requests a rotation.
    pub rotation_requested: bool,
}

/// The next change of the set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// No change.
    Stay,
    /// Generate the next CA, and trust it.
    Announce,
    /// The next CA signs from now on; the key of the current one is deleted.
    Promote,
    /// Stop trusting the previous CAs.
    Retire,
}

impl CaSet {
    /// A set with one new CA.
    pub(crate) fn generate(now: Timestamp, settings: &Settings) -> Result<Self, AuthorityError> {
        Ok(Self {
            current: Arc::new(Authority::generate(now, settings.authority_life)?),
            next: None,
            previous: Bundle::default(),
            changed_at: Some(now),
            rotation_requested: false,
        })
    }

    /// All CAs, for API servers to trust.
    pub(crate) fn bundle(&self) -> Bundle {
        let with_keys = [Some(&self.current), self.next.as_ref()];
        let bundle: Bundle =
            with_keys.into_iter().flatten().map(|authority| authority.der().clone()).collect();
        bundle.union(&self.previous)
    }

    /// The step that is due now. `visible` is for how long the whole set was seen in every configuration.
    pub(crate) fn next_step(&self, visible: SignedDuration, now: Timestamp, settings: &Settings) -> Step {
        // The date covers what other replicas did; the monotonic time guards against a clock that jumps.
        // Without a date, or with one in the future, the monotonic time alone counts.
        let elapsed = self
            .changed_at
            .filter(|changed_at| *changed_at <= now)
            .map_or(visible, |changed_at| changed_at.duration_until(now));
        let overlapped = visible >= settings.overlap && elapsed >= settings.overlap;
        // By then even the certificate of a replica that can no longer read the Secret has expired, clock
        // differences included.
        let outlived = elapsed >= settings.serving_life * 2;
        match &self.next {
            Some(next) if !next.is_expired(now) => {
                if overlapped {
                    Step::Promote
                } else {
                    Step::Stay
                }
            }
            _ if self.rotation_requested || now >= self.current.rotation_due(settings.authority_life) => {
                Step::Announce
            }
            _ if !self.previous.is_empty() && overlapped && outlived => Step::Retire,
            _ => Step::Stay,
        }
    }

    /// The set after the step.
    pub(crate) fn after(
        &self,
        step: Step,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<Self, AuthorityError> {
        let mut set = self.clone();
        set.previous = set.previous.valid(now);
        match step {
            Step::Stay => return Ok(set),
            Step::Announce => {
                set.next = Some(Arc::new(Authority::generate(now, settings.authority_life)?));
                set.rotation_requested = false;
            }
            Step::Promote => {
                if let Some(next) = set.next.take() {
                    set.previous =
                        set.previous.union(&Bundle::from_iter([self.current.der().clone()]).valid(now));
                    set.current = next;
                }
            }
            Step::Retire => set.previous = Bundle::default(),
        }
        set.changed_at = Some(now);
        Ok(set)
    }

    /// The set that replaces one whose current CA has expired. It applies at once, since no API server trusts
    /// an expired CA: the announced CA signs if there is one, which is trusted already, and otherwise a new
    /// one.
    pub(crate) fn replace_expired(
        &self,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<Self, AuthorityError> {
        match &self.next {
            Some(next) if !next.is_expired(now) => self.after(Step::Promote, now, settings),
            _ => Self::generate(now, settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{DAY, begin};
    use rstest::rstest;
    use std::time::Duration;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn settings() -> Settings {
        let days = |days: u64| Duration::from_hours(24 * days);
        Settings::new(days(365), days(7), Duration::from_mins(10)).unwrap()
    }

    fn set(steps: &[Step]) -> CaSet {
        let first = CaSet::generate(begin(), &settings()).unwrap();
        steps.iter().fold(first, |set, step| set.after(*step, begin(), &settings()).unwrap())
    }

    fn step(set: &CaSet, visible: SignedDuration, elapsed: SignedDuration) -> Step {
        set.next_step(visible, begin() + elapsed, &settings())
    }

    #[test]
    fn rotation_starts_after_two_thirds_of_a_life_or_on_request() {
        let mut set = set(&[]);
        assert_eq!(step(&set, DAY, DAY * 243), Step::Stay);
        assert_eq!(step(&set, SignedDuration::ZERO, DAY * 244), Step::Announce);
        set.rotation_requested = true;
        assert_eq!(step(&set, SignedDuration::ZERO, SignedDuration::ZERO), Step::Announce);
        let announced = set.after(Step::Announce, begin(), &settings()).unwrap();
        assert!(!announced.rotation_requested);
        assert_eq!(announced.current.certificate(), set.current.certificate());
    }

    #[rstest]
    #[case::both(10, 10, Step::Promote)]
    #[case::bundle_was_removed(9, 60, Step::Stay)]
    #[case::clock_was_set_back(60, 9, Step::Stay)]
    #[case::date_is_in_the_future(10, -60, Step::Promote)]
    fn next_ca_signs_once_it_was_visible_for_the_overlap(
        #[case] visible: i64,
        #[case] elapsed: i64,
        #[case] expected: Step,
    ) {
        let minutes = SignedDuration::from_mins;
        assert_eq!(step(&set(&[Step::Announce]), minutes(visible), minutes(elapsed)), expected);
    }

    #[test]
    fn without_a_date_only_the_visible_time_counts() {
        let announced = CaSet { changed_at: None, ..set(&[Step::Announce]) };
        assert_eq!(step(&announced, MINUTE * 9, DAY), Step::Stay);
        assert_eq!(step(&announced, MINUTE * 10, DAY), Step::Promote);
    }

    #[test]
    fn previous_ca_is_trusted_until_all_it_signed_has_expired() {
        let promoted = set(&[Step::Announce, Step::Promote]);
        assert_eq!(step(&promoted, DAY, DAY * 14 - MINUTE), Step::Stay);
        assert_eq!(step(&promoted, MINUTE * 9, DAY * 14), Step::Stay);
        assert_eq!(step(&promoted, MINUTE * 10, DAY * 14), Step::Retire);
        let retired = promoted.after(Step::Retire, begin(), &settings()).unwrap();
        assert_eq!(retired.bundle(), Bundle::from_iter([promoted.current.der().clone()]));
    }

    #[test]
    fn two_rotations_in_a_row_keep_both_previous_cas() {
        let first = set(&[]);
        let steps = [Step::Announce, Step::Promote, Step::Announce, Step::Promote];
        let twice =
            steps.iter().fold(first.clone(), |set, step| set.after(*step, begin(), &settings()).unwrap());
        assert_eq!(twice.bundle().len(), 3);
        assert!(twice.bundle().contains_all(&first.bundle()));
    }

    #[test]
    fn expired_ca_is_replaced_by_the_announced_or_a_new_one() {
        let first = set(&[]);
        let late = begin() + DAY * 400;
        let new = first.replace_expired(late, &settings()).unwrap();
        assert_eq!(new.bundle(), Bundle::from_iter([new.current.der().clone()]));
        assert!(!new.current.is_expired(late));
        let announced = first.after(Step::Announce, begin() + DAY * 250, &settings()).unwrap();
        let promoted = announced.replace_expired(late, &settings()).unwrap();
        assert_eq!(promoted.current.certificate(), announced.next.unwrap().certificate());
        assert!(promoted.previous.is_empty());
    }
}

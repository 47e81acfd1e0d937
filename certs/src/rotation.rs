//! When one authority follows another. Pure but for the making of keys.
//!
//! ```text
//!  current ──announce──► current, next ──promote──► current (the next), previous ──retire──► current
//! ```
//!
//! Everything that is held is trusted, and only `current` signs. So an authority signs only after every
//! API server trusts it, and is trusted until nobody serves with what it signed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::bundle::Bundle;
use crate::{Authority, AuthorityError, Settings};

/// The authorities of an installation.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Signs.
    pub current: Arc<Authority>,
    /// Will sign.
    pub next: Option<Arc<Authority>>,
    /// Signed once; their keys are gone.
    pub previous: Bundle,
    /// When the last of these moved, by the clock of the replica that moved it.
    pub since: Option<Timestamp>,
    /// A person asks for another authority.
    pub asked: bool,
}

/// What is to be done with the authorities.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Nothing.
    Stay,
    /// Make the next one, to be trusted.
    Announce,
    /// The next one signs from now on; the key of the current one is thrown away.
    Promote,
    /// Trust the previous ones no more.
    Retire,
}

impl Held {
    /// A first authority.
    pub(crate) fn first(now: Timestamp, settings: &Settings) -> Result<Self, AuthorityError> {
        Ok(Self {
            current: Arc::new(Authority::generate(now, settings.authority_life)?),
            next: None,
            previous: Bundle::default(),
            since: Some(now),
            asked: false,
        })
    }

    /// Whom API servers are to trust.
    pub(crate) fn bundle(&self) -> Bundle {
        let held = [Some(&self.current), self.next.as_ref()];
        let held: Bundle = held.into_iter().flatten().map(|authority| authority.der().clone()).collect();
        held.union(&self.previous)
    }

    /// The step to take now. `settled` is how long all of these were seen in every configuration.
    pub(crate) fn step(&self, settled: SignedDuration, now: Timestamp, settings: &Settings) -> Step {
        // The date counts for what other replicas did, and the steady time is a guard against a clock
        // that jumps. Without a date, or with one that is yet to come, the steady time alone counts.
        let elapsed =
            self.since.filter(|since| *since <= now).map_or(settled, |since| since.duration_until(now));
        let overlapped = settled >= settings.overlap && elapsed >= settings.overlap;
        // By then even what a replica serves that cannot read the Secret any more has expired, also where
        // clocks differ.
        let outlived = elapsed >= settings.serving_life * 2;
        match &self.next {
            Some(next) if !next.is_expired(now) => {
                if overlapped {
                    Step::Promote
                } else {
                    Step::Stay
                }
            }
            _ if self.asked || now >= self.current.due(settings.authority_life) => Step::Announce,
            _ if !self.previous.is_empty() && overlapped && outlived => Step::Retire,
            _ => Step::Stay,
        }
    }

    /// The authorities after the step.
    pub(crate) fn after(
        &self,
        step: Step,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<Self, AuthorityError> {
        let mut held = self.clone();
        held.previous = held.previous.valid(now);
        match step {
            Step::Stay => return Ok(held),
            Step::Announce => {
                held.next = Some(Arc::new(Authority::generate(now, settings.authority_life)?));
                held.asked = false;
            }
            Step::Promote => {
                if let Some(next) = held.next.take() {
                    held.previous =
                        held.previous.union(&Bundle::from_iter([self.current.der().clone()]).valid(now));
                    held.current = next;
                }
            }
            Step::Retire => held.previous = Bundle::default(),
        }
        held.since = Some(now);
        Ok(held)
    }

    /// What follows an authority that has expired, at once: nobody trusts it any more. The next one, if it
    /// is there, is trusted already.
    pub(crate) fn succeed(&self, now: Timestamp, settings: &Settings) -> Result<Self, AuthorityError> {
        match &self.next {
            Some(next) if !next.is_expired(now) => self.after(Step::Promote, now, settings),
            _ => Self::first(now, settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::time::Duration;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn begin() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn settings() -> Settings {
        let days = |days: u64| Duration::from_hours(24 * days);
        Settings::new(days(365), days(7), Duration::from_mins(10)).unwrap()
    }

    fn held(steps: &[Step]) -> Held {
        let first = Held::first(begin(), &settings()).unwrap();
        steps.iter().fold(first, |held, step| held.after(*step, begin(), &settings()).unwrap())
    }

    fn step(held: &Held, settled: SignedDuration, elapsed: SignedDuration) -> Step {
        held.step(settled, begin() + elapsed, &settings())
    }

    #[test]
    fn a_successor_is_announced_after_two_thirds_of_a_life_or_when_a_person_asks() {
        let mut held = held(&[]);
        assert_eq!(step(&held, DAY, DAY * 243), Step::Stay);
        assert_eq!(step(&held, SignedDuration::ZERO, DAY * 244), Step::Announce);
        held.asked = true;
        assert_eq!(step(&held, SignedDuration::ZERO, SignedDuration::ZERO), Step::Announce);
        let announced = held.after(Step::Announce, begin(), &settings()).unwrap();
        assert!(!announced.asked);
        assert_eq!(announced.current.certificate(), held.current.certificate());
    }

    #[rstest]
    #[case::both(10, 10, Step::Promote)]
    #[case::the_bundle_was_away(9, 60, Step::Stay)]
    #[case::the_clock_was_put_back(60, 9, Step::Stay)]
    #[case::the_date_is_yet_to_come(10, -60, Step::Promote)]
    fn a_successor_signs_when_its_announcement_has_settled(
        #[case] settled: i64,
        #[case] elapsed: i64,
        #[case] expected: Step,
    ) {
        let minutes = SignedDuration::from_mins;
        assert_eq!(step(&held(&[Step::Announce]), minutes(settled), minutes(elapsed)), expected);
    }

    #[test]
    fn without_a_date_only_what_was_seen_counts() {
        let announced = Held { since: None, ..held(&[Step::Announce]) };
        assert_eq!(step(&announced, MINUTE * 9, DAY), Step::Stay);
        assert_eq!(step(&announced, MINUTE * 10, DAY), Step::Promote);
    }

    #[test]
    fn a_predecessor_is_trusted_until_all_that_it_signed_has_expired() {
        let promoted = held(&[Step::Announce, Step::Promote]);
        assert_eq!(step(&promoted, DAY, DAY * 14 - MINUTE), Step::Stay);
        assert_eq!(step(&promoted, MINUTE * 9, DAY * 14), Step::Stay);
        assert_eq!(step(&promoted, MINUTE * 10, DAY * 14), Step::Retire);
        let retired = promoted.after(Step::Retire, begin(), &settings()).unwrap();
        assert_eq!(retired.bundle(), Bundle::from_iter([promoted.current.der().clone()]));
    }

    #[test]
    fn two_rotations_in_a_row_keep_both_predecessors() {
        let first = held(&[]);
        let steps = [Step::Announce, Step::Promote, Step::Announce, Step::Promote];
        let twice =
            steps.iter().fold(first.clone(), |held, step| held.after(*step, begin(), &settings()).unwrap());
        assert_eq!(twice.bundle().len(), 3);
        assert!(twice.bundle().contains_all(&first.bundle()));
    }

    #[test]
    fn an_expired_authority_is_followed_by_its_announced_successor_or_by_a_new_one() {
        let first = held(&[]);
        let late = begin() + DAY * 400;
        let new = first.succeed(late, &settings()).unwrap();
        assert_eq!(new.bundle(), Bundle::from_iter([new.current.der().clone()]));
        assert!(!new.current.is_expired(late));
        let announced = first.after(Step::Announce, begin() + DAY * 250, &settings()).unwrap();
        let promoted = announced.succeed(late, &settings()).unwrap();
        assert_eq!(promoted.current.certificate(), announced.next.unwrap().certificate());
        assert!(promoted.previous.is_empty());
    }
}

//! The request by which Patroni makes another member the primary: the annotations of a `ConfigMap`. The leader reads it in its next
//! round, within seconds, and refuses it by removing it; the next leader removes it when it has the lock.

use std::collections::BTreeMap;
use std::fmt;

/// Annotation with the member that is to lay down the lock.
const LEADER: &str = "leader";
/// Annotation with the member that is to get it.
const MEMBER: &str = "member";
/// Annotation with the time of a switchover that is not to happen at once.
const SCHEDULED_AT: &str = "scheduled_at";

/// A switchover that Patroni is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchoverRecord {
    from: Option<String>,
    to: Option<String>,
    scheduled_at: Option<String>,
}

impl SwitchoverRecord {
    /// A switchover at once, between these pods.
    #[must_use]
    pub fn new(from: &str, to: &str) -> Self {
        Self { from: Some(from.to_owned()), to: Some(to.to_owned()), scheduled_at: None }
    }

    /// What the annotations ask of Patroni, if anything: without both names it does nothing.
    #[must_use]
    pub fn parse(annotations: Option<&BTreeMap<String, String>>) -> Option<Self> {
        let get = |key| annotations?.get(key).filter(|value| !value.is_empty()).cloned();
        let record = Self { from: get(LEADER), to: get(MEMBER), scheduled_at: get(SCHEDULED_AT) };
        (record.from.is_some() || record.to.is_some()).then_some(record)
    }

    /// The annotations, for a merge patch: those that it does not have are removed.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<&'static str, Option<&str>> {
        let (from, to, at) = (self.from.as_deref(), self.to.as_deref(), self.scheduled_at.as_deref());
        BTreeMap::from([(LEADER, from), (MEMBER, to), (SCHEDULED_AT, at)])
    }

    /// The member that lays down the lock.
    #[must_use]
    pub fn leader(&self) -> Option<&str> {
        self.from.as_deref()
    }
}

/// What Patroni is asked for.
impl fmt::Display for SwitchoverRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patroni was asked for a switchover")?;
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        if let Some(to) = &self.to {
            write!(f, " to {to}")?;
        }
        match &self.scheduled_at {
            Some(at) => write!(f, " at {at}"),
            None => Ok(()),
        }
    }
}

/// What has become of a switchover.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SwitchoverState {
    /// Patroni has not acted yet, or has not finished.
    Pending,
    /// Another client has requested another one: it is neither overwritten nor waited for as if it were ours.
    Foreign(SwitchoverRecord),
    /// This member has the lock now, which may be another one than was asked for.
    SwitchedTo(String),
    /// The request was removed, and the same member leads.
    Refused,
}

/// What has become of the switchover that was asked for, by the present record and the holder of the lock, if it is held.
#[must_use]
pub fn switchover_state(
    asked: &SwitchoverRecord,
    found: Option<&SwitchoverRecord>,
    lock: Option<&str>,
) -> SwitchoverState {
    match (found, lock) {
        (Some(found), _) if found != asked => SwitchoverState::Foreign(found.clone()),
        (Some(_), _) | (None, None) => SwitchoverState::Pending,
        (None, Some(holder)) if asked.leader() == Some(holder) => SwitchoverState::Refused,
        (None, Some(holder)) => SwitchoverState::SwitchedTo(holder.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn record_is_what_patroni_reads() {
        let planned = SwitchoverRecord::new("orders-0", "orders-1");
        let written = annotations(&[("leader", "orders-0"), ("member", "orders-1")]);
        assert_eq!(SwitchoverRecord::parse(Some(&written)), Some(planned.clone()));
        let removed: Vec<_> =
            planned.annotations().into_iter().filter(|(_, value)| value.is_none()).collect();
        assert_eq!(removed, [("scheduled_at", None)], "an old one would delay it");
    }

    #[test]
    fn annotations_without_a_member_request_nothing() {
        assert_eq!(SwitchoverRecord::parse(None), None);
        assert_eq!(SwitchoverRecord::parse(Some(&annotations(&[("leader", ""), ("note", "x")]))), None);
        assert_eq!(SwitchoverRecord::parse(Some(&annotations(&[("scheduled_at", "2026-11-20")]))), None);
    }

    #[test]
    fn record_of_another_client_is_shown_with_its_time() {
        let found = annotations(&[("leader", "orders-0"), ("scheduled_at", "2026-11-20T10:00:00+00:00")]);
        let found = SwitchoverRecord::parse(Some(&found)).unwrap();
        let text = "Patroni was asked for a switchover from orders-0 at 2026-11-20T10:00:00+00:00";
        assert_eq!(found.to_string(), text);
    }

    #[rstest]
    #[case::not_seen_yet(Some(("orders-0", "orders-1")), Some("orders-0"), SwitchoverState::Pending)]
    #[case::old_primary_stops(Some(("orders-0", "orders-1")), None, SwitchoverState::Pending)]
    #[case::new_one_has_yet_to_clean_up(Some(("orders-0", "orders-1")), Some("orders-1"), SwitchoverState::Pending)]
    #[case::candidate_was_lost(None, None, SwitchoverState::Pending)]
    #[case::refused(None, Some("orders-0"), SwitchoverState::Refused)]
    #[case::done(None, Some("orders-1"), SwitchoverState::SwitchedTo("orders-1".to_owned()))]
    #[case::to_another(None, Some("orders-2"), SwitchoverState::SwitchedTo("orders-2".to_owned()))]
    #[case::of_another_client(
        Some(("orders-0", "orders-2")),
        Some("orders-0"),
        SwitchoverState::Foreign(SwitchoverRecord::new("orders-0", "orders-2"))
    )]
    fn switchover_is_known_by_its_record_and_the_lock(
        #[case] found: Option<(&str, &str)>,
        #[case] lock: Option<&str>,
        #[case] expected: SwitchoverState,
    ) {
        let found = found.map(|(from, to)| SwitchoverRecord::new(from, to));
        let asked = SwitchoverRecord::new("orders-0", "orders-1");
        assert_eq!(switchover_state(&asked, found.as_ref(), lock), expected);
    }
}

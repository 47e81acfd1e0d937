//! The records of Patroni, which are annotations of `ConfigMap`s.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

/// Annotation with the member that leads, or that has led when the record was written.
const LEADER: &str = "leader";
/// Annotation with the time when the leader took the lock.
const ACQUIRED: &str = "acquireTime";
/// Annotation with the time when the leader has last renewed the lock, once in each of its rounds.
const RENEWED: &str = "renewTime";
/// Annotation with the end of the WAL of the leader, in bytes.
const END_OF_WAL: &str = "optime";
/// Annotation with the standbys that commits wait for, separated by commas.
const SYNCHRONOUS: &str = "sync_standby";

/// The lock.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lock {
    /// The member that has it. One that was lost has it until another member takes it.
    pub holder: Option<String>,
    /// Since when it has it, by the clock of its node.
    pub acquired: Option<Timestamp>,
    /// When it was renewed last, by the same clock.
    pub renewed: Option<Timestamp>,
    /// End of the WAL as the last holder has written it.
    pub end_of_wal: Option<u64>,
}

impl Lock {
    /// The lock that is recorded in these annotations.
    #[must_use]
    pub fn parse(annotations: Option<&BTreeMap<String, String>>) -> Self {
        Self {
            holder: named(annotations, LEADER).map(ToOwned::to_owned),
            acquired: named(annotations, ACQUIRED).and_then(|time| time.parse().ok()),
            renewed: named(annotations, RENEWED).and_then(|time| time.parse().ok()),
            end_of_wal: named(annotations, END_OF_WAL).and_then(|position| position.parse().ok()),
        }
    }
}

/// The standbys that commits wait for, if Patroni records that they wait for any.
#[must_use]
pub fn synchronous_standbys(annotations: Option<&BTreeMap<String, String>>) -> Option<Vec<String>> {
    named(annotations, LEADER)?;
    let standbys = named(annotations, SYNCHRONOUS).unwrap_or_default().split(',').map(str::trim);
    Some(standbys.filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect())
}

fn named<'a>(annotations: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    annotations?.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lock_that_was_laid_down_keeps_the_end_of_the_wal() {
        let acquired = ("acquireTime", "2026-11-20T10:00:00.250000+00:00");
        let renewed = ("renewTime", "2026-11-20T10:00:03.250000+00:00");
        let end_of_wal = ("optime", "50331648");
        let held = annotations(&[("leader", "orders-0"), acquired, renewed, end_of_wal, ("ttl", "20")]);
        let expected = Lock {
            holder: Some("orders-0".to_owned()),
            acquired: "2026-11-20T10:00:00.25Z".parse().ok(),
            renewed: "2026-11-20T10:00:03.25Z".parse().ok(),
            end_of_wal: Some(50_331_648),
        };
        assert_eq!(Lock::parse(Some(&held)), expected);
        let free = Lock::parse(Some(&annotations(&[acquired, renewed, end_of_wal])));
        assert_eq!(free, Lock { holder: None, ..expected });
        assert_eq!(Lock::parse(Some(&annotations(&[("optime", "-1")]))), Lock::default());
        assert_eq!(Lock::parse(None), Lock::default());
    }

    #[rstest]
    #[case::two(&[("leader", "a"), ("sync_standby", "b, c"), ("quorum", "1")], Some(vec!["b", "c"]))]
    #[case::none_left(&[("leader", "a")], Some(vec![]))]
    #[case::asynchronous(&[("sync_standby", "b")], None)]
    #[case::emptied(&[("leader", "")], None)]
    fn synchronous_standbys_are_those_of_a_record_with_a_leader(
        #[case] pairs: &[(&str, &str)],
        #[case] expected: Option<Vec<&str>>,
    ) {
        let found = synchronous_standbys(Some(&annotations(pairs)));
        assert_eq!(found, expected.map(|all| all.into_iter().map(ToOwned::to_owned).collect()));
    }
}

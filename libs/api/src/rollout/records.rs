//! The records of Patroni, which are annotations of `ConfigMap`s.

use std::collections::BTreeMap;

/// Annotation with the member that leads, or that has led when the record was written.
const LEADER: &str = "leader";
/// Annotation with the end of the WAL of the leader, in bytes.
const END_OF_WAL: &str = "optime";
/// Annotation with the standbys that commits wait for, separated by commas.
const SYNCHRONOUS: &str = "sync_standby";

/// The lock.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lock {
    /// The member that has it. One that was lost has it until another member takes it.
    pub holder: Option<String>,
    /// End of the WAL as the last holder has written it.
    pub end_of_wal: Option<u64>,
}

impl Lock {
    /// The lock that is recorded in these annotations.
    #[must_use]
    pub fn parse(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let end_of_wal = annotations.and_then(|all| all.get(END_OF_WAL)?.parse().ok());
        Self { holder: named(annotations, LEADER).map(ToOwned::to_owned), end_of_wal }
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
        let held = annotations(&[("leader", "orders-0"), ("optime", "50331648"), ("ttl", "20")]);
        let expected = Lock { holder: Some("orders-0".to_owned()), end_of_wal: Some(50_331_648) };
        assert_eq!(Lock::parse(Some(&held)), expected);
        let free = Lock::parse(Some(&annotations(&[("optime", "50331648")])));
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

//! What the release notes of `PostgreSQL` recommend once a server runs a release: a table, the rule that says which of it
//! an upgrade reaches, and the objects of a database that each entry concerns.
//!
//! A release that fixes how an index is written leaves what was written before: queries miss rows until it is rebuilt,
//! and the server does not report it.

mod about_indexes;
mod about_objects;
pub mod duty;
mod known;
pub mod objects;

pub use known::{Unread, unread_release};

use duty::Duty;
use pgops_api::PgVersion;

/// The largest index that is rebuilt in a minor upgrade, in bytes. Its worker does not see how much space the volume has, up to
/// three times the size is written, and a full volume would stop the server.
pub const LARGEST_IN_MINOR_UPGRADES: u64 = 64 << 20;

/// The duties of all releases.
fn all() -> impl Iterator<Item = &'static Duty> {
    about_indexes::DUTIES.iter().chain(about_objects::DUTIES)
}

/// The duties that an upgrade from `old` to `new` reaches, each with the release whose notes recommend it.
pub fn due(old: PgVersion, new: PgVersion) -> Vec<(&'static Duty, PgVersion)> {
    all().filter_map(|duty| Some((duty, duty.recommended_by(old, new)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::duty::Action;
    use super::*;
    use std::collections::BTreeSet;

    fn ids(old: &str, new: &str) -> BTreeSet<&'static str> {
        due(old.parse().unwrap(), new.parse().unwrap()).into_iter().map(|(duty, _)| duty.id).collect()
    }

    #[test]
    fn duties_of_an_upgrade_are_those_between_its_releases() {
        assert!(ids("15.18", "15.20").contains("btree-character"));
        assert!(!ids("15.18", "15.19").contains("btree-character"), "15.19 does not have the fix");
        assert!(!ids("15.20", "15.20").contains("btree-character"), "it was due before");
        assert!(ids("13.6", "13.7").contains("gist-ltree-signature"));
        assert!(!ids("13.7", "13.23").contains("gist-ltree-signature"));
    }

    #[test]
    fn duties_of_a_major_upgrade_are_those_of_the_old_release() {
        let from_14 = ids("14.3", "17.11");
        assert!(from_14.contains("concurrently-built-in-14"), "{from_14:?}");
        assert!(!ids("14.4", "17.11").contains("concurrently-built-in-14"));
        assert!(!ids("13.23", "17.11").contains("concurrently-built-in-14"), "13 had no such fault");
        assert!(!from_14.contains("stats-ext-views"), "a new cluster has the new views");
    }

    #[test]
    fn duty_that_no_old_release_has_reached_is_due_when_the_new_one_has() {
        assert!(ids("13.23", "17.12").contains("btree-character"));
        assert!(!ids("13.23", "17.11").contains("btree-character"));
        assert!(ids("17.12", "18.2").contains("ltree-case-folding"));
        assert!(!ids("15.20", "17.12").contains("ltree-case-folding"));
        assert!(
            ids("13.23", "17.11").contains("extract-numeric")
                && ids("12.22", "14.0").contains("extract-numeric")
        );
        assert!(
            !ids("14.0", "17.11").contains("extract-numeric")
                && !ids("13.1", "13.23").contains("extract-numeric")
        );
    }

    #[test]
    fn duty_whose_condition_proves_it_is_told_whatever_the_old_release_was() {
        assert!(ids("15.18", "15.20").contains("stats-ext-views"));
        assert!(!ids("15.1", "15.6").contains("stats-ext-views"), "15.6 does not have the script");
    }

    #[test]
    fn duties_are_named_uniquely_and_each_is_due_for_some_upgrade() {
        let names: BTreeSet<_> = all().map(|duty| duty.id).collect();
        assert_eq!(names.len(), all().count());
        let versions = || (13..=18).flat_map(|major| (0..=30).map(move |minor| PgVersion { major, minor }));
        for duty in all() {
            let is_due = versions().any(|old| versions().any(|new| duty.recommended_by(old, new).is_some()));
            assert!(is_due, "{} is never due", duty.id);
        }
    }

    #[test]
    fn releases_of_a_duty_are_sorted_one_of_each_major_version() {
        for duty in all() {
            assert!(duty.releases.is_sorted_by(|one, other| one.0 < other.0), "{}", duty.id);
        }
    }

    #[test]
    fn only_indexes_are_rebuilt() {
        for duty in all().filter(|duty| matches!(duty.action, Action::Rebuild)) {
            assert!(matches!(duty.objects, duty::Objects::Indexes(_)), "{}", duty.id);
        }
    }

    #[test]
    fn duties_are_documented_with_their_releases() {
        let page = include_str!("../../../docs/reference/release-duties.md");
        for duty in all() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}`", duty.id)));
            let row = row.unwrap_or_else(|| panic!("docs/reference/release-duties.md lacks {}", duty.id));
            for (major, minor) in duty.releases {
                let release = format!("{major}.{minor}");
                assert!(
                    row.contains(&release),
                    "docs/reference/release-duties.md: {} lacks {release}",
                    duty.id
                );
            }
        }
    }
}

//! How far the release notes were read.

use pgops_api::PgVersion;

/// The newest release of each major version whose notes were read for the table of duties. A fix has the same text in the notes
/// of all releases of its day, so 14 and 16 were read with their neighbours, and what only they have by itself.
///
/// To continue at each round of releases (<https://www.postgresql.org/docs/release/>): read "Migration to Version" of the new
/// releases and every entry that it refers to, or that recommends a REINDEX, an ANALYZE or a new definition.
const KNOWN_UP_TO: [(u32, u32); 6] = [(13, 23), (14, 24), (15, 20), (16, 15), (17, 12), (18, 6)];

/// The newest release of that major version whose notes were read, if the target is a newer one. The first release of an unknown
/// major version counts as not read, and so does everything of it.
#[must_use]
pub fn unread_release(target: PgVersion) -> Option<Unread> {
    let known = KNOWN_UP_TO.into_iter().find(|(major, _)| *major == target.major);
    match known {
        Some((_, minor)) if target.minor <= minor => None,
        Some((major, minor)) => Some(Unread::After(PgVersion { major, minor })),
        None => Some(Unread::All),
    }
}

/// Which release notes of the target's major version were not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unread {
    /// Those of the releases after this one.
    After(PgVersion),
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(version: &str) -> Option<Unread> {
        unread_release(version.parse().unwrap())
    }

    #[test]
    fn newer_release_than_the_table_knows_is_unread() {
        assert_eq!(unread("17.12"), None);
        assert_eq!(unread("13.0"), None);
        assert_eq!(unread("17.13"), Some(Unread::After(PgVersion { major: 17, minor: 12 })));
        assert_eq!(unread("30.1"), Some(Unread::All));
    }

    /// A release that is added to a catalog fails this test until its notes were read.
    #[test]
    fn notes_of_all_releases_in_our_catalogs_were_read() {
        let chart = include_str!("../../../../charts/pgops/values.yaml");
        let chart =
            chart.lines().filter_map(|line| line.trim().strip_prefix("version: \"")?.strip_suffix('"'));
        let images = include_str!("../../../../tests/cluster/images/postgres.tsv");
        let images =
            images.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').nth(3));
        let versions: Vec<_> = chart.chain(images).collect();
        assert!(versions.len() >= 12, "{versions:?}");
        for version in versions {
            assert_eq!(unread(version), None, "read the release notes up to {version}");
        }
    }

    #[test]
    fn documentation_says_which_notes_were_read() {
        let page = include_str!("../../../../docs/reference/release-duties.md");
        let text = KNOWN_UP_TO.map(|(major, minor)| format!("{major}.{minor}"));
        let (last, others) = text.split_last().unwrap();
        assert!(page.contains(&format!("{} and {last}", others.join(", "))), "{text:?}");
    }
}

//! One thing that release notes recommend, and which upgrades reach it.

use pgops_api::PgVersion;

/// One thing that release notes recommend once a server runs the release.
#[derive(Clone, Copy, Debug)]
pub struct Duty {
    /// Its name, in kebab case.
    pub id: &'static str,
    /// The releases whose notes recommend it, one of each major version that was affected, oldest first.
    pub releases: &'static [(u32, u32)],
    pub older: Older,
    pub evidence: Evidence,
    pub upgrades: Upgrades,
    pub objects: Objects,
    /// What is or may be wrong with the objects.
    pub what: &'static str,
    pub action: Action,
}

/// Major versions before those that have a release with the fix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Older {
    /// They never had the fault.
    Sound,
    /// They have it, and none of their releases fixes it.
    Affected,
}

/// What shows that a database is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// Only that its server was one without the fix until now.
    OldRelease,
    /// The objects that are found: an earlier update may have left them.
    Objects,
}

/// The upgrades after which it is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upgrades {
    All,
    /// Only those that keep the system catalog: `pg_upgrade` makes a new one.
    Minor,
}

/// How the objects are found, in a database or in the whole server.
#[derive(Clone, Copy, Debug)]
pub enum Objects {
    Indexes(IndexRule),
    /// A query of each database with one column of text, the names.
    Database(&'static str),
    /// The same for the whole server, run in one database.
    Server(&'static str),
}

/// Which indexes are concerned.
#[derive(Clone, Copy, Debug)]
pub struct IndexRule {
    /// A regular expression for the access method.
    pub method: &'static str,
    /// A regular expression for the operator class of one of its columns.
    pub operator_class: &'static str,
    /// A condition on the row `d` of `pg_database`.
    pub database: &'static str,
    /// A condition on the row `i` of `pg_index`.
    pub index: &'static str,
}

/// What is done about the objects, and by whom.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// The step `RebuildIndexes` rebuilds them.
    Rebuild,
    /// The operator is told what to do.
    Tell(&'static str),
}

impl Duty {
    /// The release whose notes recommend it, if an upgrade from `old` to `new` reaches it.
    #[must_use]
    pub fn recommended_by(&self, old: PgVersion, new: PgVersion) -> Option<PgVersion> {
        let of = |major| self.releases.iter().copied().find(|release| release.0 == major);
        let (oldest, newest) = (self.releases.first()?, self.releases.last()?);
        let is_affected = match of(old.major) {
            Some((_, minor)) => self.evidence == Evidence::Objects || old.minor < minor,
            None => self.older == Older::Affected && old.major < oldest.0,
        };
        let is_reached = match of(new.major) {
            Some((_, minor)) => new.minor >= minor,
            // A later major version had the fix from its first release on.
            None => new.major > newest.0,
        };
        let is_kind = self.upgrades == Upgrades::All || old.major == new.major;
        let (major, minor) = of(new.major).or_else(|| of(old.major)).unwrap_or(*newest);
        (is_affected && is_reached && is_kind).then_some(PgVersion { major, minor })
    }
}

/// Where the notes of a release are.
#[must_use]
pub fn release_notes(release: PgVersion) -> String {
    format!("https://www.postgresql.org/docs/release/{release}/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn duty(older: Older, upgrades: Upgrades, evidence: Evidence) -> Duty {
        Duty {
            id: "a-b",
            releases: &[(14, 9), (15, 4)],
            older,
            evidence,
            upgrades,
            objects: Objects::Database("SELECT 'a'"),
            what: "a",
            action: Action::Rebuild,
        }
    }

    fn recommended_by(duty: &Duty, old: &str, new: &str) -> Option<String> {
        duty.recommended_by(old.parse().unwrap(), new.parse().unwrap()).map(|release| release.to_string())
    }

    #[rstest]
    #[case::minor("14.8", "14.9", Some("14.9"))]
    #[case::not_far_enough("14.7", "14.8", None)]
    #[case::done_before("14.9", "14.20", None)]
    #[case::major_with_the_fix("14.8", "15.4", Some("15.4"))]
    #[case::major_without_the_fix("14.8", "15.3", None)]
    #[case::major_born_with_the_fix("14.8", "16.0", Some("14.9"))]
    #[case::major_version_that_was_never_affected("13.1", "15.4", None)]
    #[case::downgrade("14.9", "14.8", None)]
    fn duty_is_reached_by_the_upgrade_that_crosses_its_release(
        #[case] old: &str,
        #[case] new: &str,
        #[case] expected: Option<&str>,
    ) {
        let duty = duty(Older::Sound, Upgrades::All, Evidence::OldRelease);
        assert_eq!(recommended_by(&duty, old, new).as_deref(), expected);
    }

    #[test]
    fn duty_of_all_older_versions_is_due_after_them_too() {
        let duty = duty(Older::Affected, Upgrades::All, Evidence::OldRelease);
        assert_eq!(recommended_by(&duty, "13.1", "15.4").as_deref(), Some("15.4"));
        assert_eq!(recommended_by(&duty, "13.1", "15.3"), None);
        assert_eq!(recommended_by(&duty, "16.0", "17.0"), None);
    }

    #[test]
    fn duty_of_minor_upgrades_is_not_due_after_a_major_one() {
        let duty = duty(Older::Sound, Upgrades::Minor, Evidence::OldRelease);
        assert_eq!(recommended_by(&duty, "14.8", "14.10").as_deref(), Some("14.9"));
        assert_eq!(recommended_by(&duty, "14.8", "15.4"), None);
    }

    #[test]
    fn duty_that_objects_prove_is_due_after_every_later_update() {
        let duty = duty(Older::Sound, Upgrades::All, Evidence::Objects);
        assert_eq!(recommended_by(&duty, "14.15", "14.20").as_deref(), Some("14.9"));
        assert_eq!(recommended_by(&duty, "14.1", "14.8"), None);
    }

    #[test]
    fn release_notes_are_found_by_version() {
        let release = PgVersion { major: 14, minor: 4 };
        assert_eq!(release_notes(release), "https://www.postgresql.org/docs/release/14.4/");
    }
}

//! Minor releases of `PostgreSQL` that are known to be faulty: those to skip, and those that lack a security fix. What
//! is known is data, with its sources.

mod advisories;
mod regressions;

use crate::PgVersion;
use advisories::{ADVISORIES, Advisory, Concern};
use regressions::{REGRESSIONS, Regression};

/// The known fault of a release that matters most.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    version: PgVersion,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Regression(&'static Regression),
    /// With the first minor release without it.
    Vulnerability(&'static Advisory, u32),
}

impl Fault {
    /// The known fault of a release, if any.
    #[must_use]
    pub fn of(version: PgVersion) -> Option<Self> {
        let is_affected = |it: &&Regression| it.major == version.major && it.minors.contains(&version.minor);
        let regression = REGRESSIONS.iter().find(is_affected).map(Kind::Regression);
        let vulnerability = || vulnerabilities(version).next();
        regression.or_else(vulnerability).map(|kind| Self { version, kind })
    }

    /// The known fault of a release that matters if a database of it is upgraded to another major version: its server
    /// lacks what protects the dump.
    #[must_use]
    pub fn of_source(version: PgVersion) -> Option<Self> {
        let concerns_source = |kind: &Kind| matches!(kind, Kind::Vulnerability(advisory, _) if advisory.concern == Concern::TargetAndSource);
        vulnerabilities(version).find(concerns_source).map(|kind| Self { version, kind })
    }

    /// Whether the next release is better in every respect, and not only safer.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        matches!(self.kind, Kind::Regression(_))
    }

    /// What goes wrong, as a sentence without a full stop.
    #[must_use]
    pub fn symptom(&self) -> &'static str {
        match self.kind {
            Kind::Regression(regression) => regression.symptom,
            Kind::Vulnerability(advisory, _) => advisory.symptom,
        }
    }

    /// The first release from which on none is known to be faulty.
    #[must_use]
    pub fn sound_release(&self) -> PgVersion {
        let major = self.version.major;
        let of_regressions = REGRESSIONS.iter().filter(|it| it.major == major).map(|it| it.fixed);
        let of_advisories = ADVISORIES.iter().filter_map(|advisory| fixed(advisory, major));
        let minor = of_regressions.chain(of_advisories).max().unwrap_or(self.version.minor);
        PgVersion { major, minor }
    }

    /// Address of the notes of the release that fixed this fault, which describe it.
    #[must_use]
    pub fn release_notes(&self) -> String {
        let (Kind::Regression(Regression { fixed, .. }) | Kind::Vulnerability(_, fixed)) = &self.kind;
        let fixed = PgVersion { major: self.version.major, minor: *fixed };
        format!("https://www.postgresql.org/docs/release/{fixed}/")
    }

    /// Address of the announcement of a security fix, which names all that it fixed.
    #[must_use]
    pub fn announcement(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Regression(_) => None,
            Kind::Vulnerability(advisory, _) => Some(advisory.announcement),
        }
    }
}

fn vulnerabilities(version: PgVersion) -> impl Iterator<Item = Kind> {
    ADVISORIES.iter().filter_map(move |advisory| {
        let fixed = fixed(advisory, version.major)?;
        (version.minor < fixed).then_some(Kind::Vulnerability(advisory, fixed))
    })
}

/// The first minor release of a major version without these vulnerabilities, if it was affected.
fn fixed(advisory: &Advisory, major: u32) -> Option<u32> {
    advisory.fixed.iter().find(|(affected, _)| *affected == major).map(|(_, minor)| *minor)
}

#[cfg(test)]
mod tests {
    use super::advisories::REVIEWED;
    use super::*;
    use rstest::rstest;

    fn version(text: &str) -> PgVersion {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::index_creation("14.0 14.3", "CONCURRENTLY", "14.24")]
    #[case::ignored_roles("12.21", "SET role", "12.22")]
    #[case::extensions("17.1", "timescaledb", "17.11")]
    #[case::libpq("16.7", "PQescapeLiteral", "16.15")]
    #[case::substring("18.2", "substring", "18.6")]
    #[case::withdrawn("18.5", "withdrawn", "18.6")]
    fn regressions_are_known_with_a_sound_release(
        #[case] versions: &str,
        #[case] symptom: &str,
        #[case] sound: &str,
    ) {
        for text in versions.split_whitespace() {
            let fault = Fault::of(version(text)).unwrap();
            assert!(fault.is_regression() && fault.symptom().contains(symptom), "{text}: {fault:?}");
            assert_eq!(fault.sound_release(), version(sound), "{text}");
        }
    }

    #[rstest]
    #[case::restore_runs_code_of_the_source("13.21 14.18 15.13 16.9 17.5", "CVE-2025-8714, CVE-2025-8715")]
    #[case::dump_and_server("13.9 14.12 15.7 16.3 12.19", "CVE-2024-7348")]
    #[case::perl_and_row_security("12.20", "CVE-2024-10976 to 10979")]
    #[case::statistics_and_libpq("13.22 18.0", "CVE-2025-12818")]
    #[case::multibyte_text("14.20 15.15 16.11 17.7 18.1", "CVE-2026-2004 to 2006")]
    #[case::out_of_bounds("14.22 15.17 16.13 17.9 18.3", "CVE-2026-6473")]
    #[case::to_char("14.23 15.18 16.14 17.10 18.4", "CVE-2026-14669")]
    fn vulnerable_releases_are_known(#[case] versions: &str, #[case] cve: &str) {
        for text in versions.split_whitespace() {
            let known: Vec<_> = vulnerabilities(version(text)).map(|kind| format!("{kind:?}")).collect();
            assert!(known.iter().any(|kind| kind.contains(cve)), "{text}: {known:?}");
        }
    }

    #[test]
    fn vulnerability_of_the_dump_and_restore_is_named_before_others() {
        for text in ["13.16", "15.13", "17.5"] {
            let fault = Fault::of(version(text)).unwrap();
            assert!(!fault.is_regression() && fault.symptom().contains("CVE-2025-8714"), "{text}: {fault:?}");
        }
    }

    #[test]
    fn source_is_faulty_if_its_server_does_not_protect_the_dump() {
        assert!(Fault::of_source(version("13.15")).unwrap().symptom().contains("CVE-2024-7348"));
        for text in ["13.16", "15.13", "17.0", "18.6"] {
            assert!(Fault::of_source(version(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn other_releases_are_not_faulty() {
        for text in ["12.22", "13.23", "14.24", "15.19", "15.20", "16.15", "17.11", "17.12", "18.6", "21.14"]
        {
            assert!(Fault::of(version(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn sound_release_is_not_faulty_itself() {
        for major in 12..=18 {
            let fault = Fault::of(PgVersion { major, minor: 0 }).unwrap();
            assert!(Fault::of(fault.sound_release()).is_none(), "{fault:?}");
        }
        for regression in &REGRESSIONS {
            assert!(regression.minors.clone().all(|minor| minor < regression.fixed), "{regression:?}");
        }
    }

    #[test]
    fn fault_names_the_release_notes() {
        let notes = |text: &str| Fault::of(version(text)).unwrap().release_notes();
        assert_eq!(notes("17.1"), "https://www.postgresql.org/docs/release/17.2/");
        assert_eq!(notes("17.5"), "https://www.postgresql.org/docs/release/17.6/");
        let announcement = |text: &str| Fault::of(version(text)).unwrap().announcement();
        assert!(announcement("17.5").unwrap().contains("postgresql-176-"));
        assert_eq!(announcement("17.1"), None);
    }

    #[test]
    fn advisories_name_their_announcement_and_the_cve_ids() {
        for advisory in &ADVISORIES {
            let address = advisory.announcement;
            assert!(address.starts_with("https://www.postgresql.org/about/news/postgresql-"), "{address}");
            assert!(advisory.symptom.contains("(CVE-20"), "{address}");
            for (major, minor) in advisory.fixed {
                assert!(
                    address.contains(&format!("{major}{minor}")),
                    "{address} does not name {major}.{minor}"
                );
                let reviewed = REVIEWED.iter().find(|(it, _)| it == major);
                assert!(reviewed.is_none_or(|(_, newest)| newest >= minor), "REVIEWED lacks {major}.{minor}");
            }
        }
    }

    /// The chart's own catalog must not lead to a faulty release, nor be ahead of this list.
    #[test]
    fn catalog_of_the_chart_has_the_newest_reviewed_releases() {
        let values = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/pgops/values.yaml"));
        let values: serde_json::Value = serde_saphyr::from_str(values).unwrap();
        let versions = values["catalog"]["versions"].as_array().unwrap();
        let mut found: Vec<_> = versions
            .iter()
            .map(|entry| {
                let found = version(entry["version"].as_str().unwrap());
                assert!(Fault::of(found).is_none(), "{found} is faulty: {:?}", Fault::of(found));
                (found.major, found.minor)
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, REVIEWED);
    }
}

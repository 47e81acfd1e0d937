//! What is known of the installed extensions before any object of them is tried: versions that cannot be upgraded, versions that
//! must be updated first, and what is to be done after the upgrade.

use std::collections::{BTreeMap, BTreeSet};

use pgops_api::constraint::Version;
use pgops_api::postgresversion::UpdateBeforeUpgrade;

use crate::postgres::client::inventory::Extension;
use crate::postgres::client::quote::identifier;
use crate::postgres::extension::knowledge::{Knowledge, Known};
use crate::postgres::extension::known::FollowUp;
use crate::postgres::program::offer::Offer;
use crate::upgrade::{Finding, Named};

/// What the two images offer.
pub struct Offers<'a> {
    /// Default versions of the serving image.
    pub serving: &'a BTreeMap<String, String>,
    pub target: &'a Offer,
}

/// An extension of the same version in some databases.
struct Installed<'a> {
    name: &'a str,
    version: &'a str,
    databases: Named,
}

/// All findings; `entry` is the name of the target's `PostgresVersion`.
pub fn findings(
    installed: &BTreeSet<Extension>,
    offers: &Offers<'_>,
    knowledge: &Knowledge,
    entry: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(knowledge.invalid.as_ref().map(|error| {
        let text =
            format!("what PostgresVersion {entry} says of extensions cannot be used: {error}; correct it");
        Finding::new("extension-entry", text)
    }));
    for extension in by_version(installed) {
        let Some(known) = knowledge.get(extension.name) else { continue };
        findings.extend(not_carried(&extension, known));
        findings.extend(update_first(&extension, known, offers));
        findings.extend(follow_up(&extension, known, entry));
    }
    findings
}

fn by_version(installed: &BTreeSet<Extension>) -> Vec<Installed<'_>> {
    let mut grouped: BTreeMap<(&str, &str), Named> = BTreeMap::new();
    for Extension { name, version, database } in installed {
        grouped.entry((name, version)).or_default().add(format!("\"{database}\""));
    }
    let grouped = grouped.into_iter();
    grouped.map(|((name, version), databases)| Installed { name, version, databases }).collect()
}

impl Installed<'_> {
    fn finding(&self, id: &'static str, known: &Known, text: &str) -> Finding {
        let Self { name, version, databases } = self;
        let advice = known.advice().map(|advice| format!(" ({advice})")).unwrap_or_default();
        Finding::new(id, format!("extension {name} {version} in database {databases}: {text}{advice}"))
    }

    fn note(&self, id: &'static str, text: &str) -> Finding {
        let Self { name, version, databases } = self;
        Finding::note(id, format!("extension {name} {version} in database {databases}: {text}"))
    }
}

fn not_carried(extension: &Installed<'_>, known: &Known) -> Option<Finding> {
    let constraint = known.not_carried.as_ref()?;
    let Ok(version) = Version::parse(extension.version) else {
        let text = format!(
            "its version cannot be compared with \"{constraint}\", the versions that are not carried over: make sure that it is \
             none of them"
        );
        return Some(extension.note("extension-not-carried", &text));
    };
    constraint.matches(&version).then(|| {
        let text = format!(
            "the versions \"{constraint}\" of it cannot be carried over: update it to another version, or drop it"
        );
        extension.finding("extension-not-carried", known, &text)
    })
}

fn update_first(extension: &Installed<'_>, known: &Known, offers: &Offers<'_>) -> Option<Finding> {
    let Installed { name, version, .. } = extension;
    let statement = |version: &str| format!("ALTER EXTENSION {} UPDATE TO '{version}'", identifier(name));
    let text = match known.update_before_upgrade? {
        UpdateBeforeUpgrade::Newest => {
            let newest = offers.serving.get(*name).filter(|newest| newest != version)?;
            format!("it must be updated before the upgrade: {}", statement(newest))
        }
        UpdateBeforeUpgrade::SameAsTarget => {
            let target = offers.target.default_version(name).filter(|target| target != version)?;
            if offers.target.scripts.contains(&format!("{name}--{version}")) {
                return None;
            }
            format!(
                "the target image has {target} and not this version, which it must have: {} in the old version, with a serving \
                 image that has it, or use a target image that has {version}",
                statement(target)
            )
        }
    };
    Some(extension.finding("extension-update-first", known, &text))
}

fn follow_up(extension: &Installed<'_>, known: &Known, entry: &str) -> Option<Finding> {
    let text = match &known.follow_up {
        FollowUp::Nothing => return None,
        FollowUp::Run(function) => {
            format!("after the upgrade pgops runs {function}() as superuser, as PostgresVersion {entry} says")
        }
        FollowUp::Operator(statement) => {
            format!("run {statement} there after the upgrade: it does not work before")
        }
        FollowUp::Recommended(statement) => format!(
            "after the upgrade pgops only updates it; {statement} does what its makers recommend in addition. To have pgops \
             run it, name it as updateFunction in spec.extensions of the PostgresVersion"
        ),
    };
    Some(extension.note("extension-follow-up", &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::postgresversion::ExtensionSpec;

    fn installed(name: &str, version: &str) -> BTreeSet<Extension> {
        let of = |database: &str| Extension {
            name: name.into(),
            version: version.into(),
            database: database.into(),
        };
        [of("shop"), of("geo")].into()
    }

    fn target(name: &str, version: &str, scripts: &[&str]) -> Offer {
        Offer {
            scripts: scripts.iter().map(ToString::to_string).collect(),
            versions: [(name.to_owned(), Some(version.to_owned()))].into(),
        }
    }

    fn found(installed: &BTreeSet<Extension>, target: &Offer, entry: &[ExtensionSpec]) -> Vec<Finding> {
        let serving = [("ledger".to_owned(), "2.6".to_owned())].into();
        findings(installed, &Offers { serving: &serving, target }, &Knowledge::new(entry), "17.11")
    }

    fn ledger(change: impl FnOnce(&mut ExtensionSpec)) -> [ExtensionSpec; 1] {
        let mut spec = ExtensionSpec { name: "ledger".into(), ..ExtensionSpec::default() };
        change(&mut spec);
        [spec]
    }

    #[test]
    fn extension_without_knowledge_has_no_finding() {
        assert_eq!(found(&installed("hstore", "1.8"), &Offer::default(), &[]), []);
    }

    #[test]
    fn version_that_is_not_carried_blocks_with_the_instructions_of_the_entry() {
        let entry = ledger(|it| {
            it.not_carried = Some("< 2.5".into());
            it.instructions = Some("see https://ledger.example".into());
        });
        let found_of = |version| found(&installed("ledger", version), &Offer::default(), &entry);
        let blocked = found_of("2.4");
        assert!(blocked.len() == 1 && blocked[0].blocks(), "{blocked:?}");
        let text = &blocked[0].text;
        assert!(
            text.starts_with("extension ledger 2.4 in database \"geo\", \"shop\": the versions \"< 2.5\""),
            "{text}"
        );
        assert!(text.ends_with("(see https://ledger.example)"), "{text}");
        assert_eq!(found_of("2.5"), []);
        let unknown = found_of("unreleased");
        assert!(unknown.len() == 1 && !unknown[0].blocks(), "{unknown:?}");
    }

    #[test]
    fn extension_is_updated_first_to_what_the_serving_image_has() {
        let entry = ledger(|it| it.update_before_upgrade = Some(UpdateBeforeUpgrade::Newest));
        let blocked = found(&installed("ledger", "2.4"), &Offer::default(), &entry);
        assert!(blocked.len() == 1 && blocked[0].blocks(), "{blocked:?}");
        assert!(blocked[0].text.contains("ALTER EXTENSION \"ledger\" UPDATE TO '2.6'"), "{}", blocked[0]);
        assert_eq!(found(&installed("ledger", "2.6"), &Offer::default(), &entry), []);
    }

    #[test]
    fn timescaledb_has_a_version_of_the_target_image() {
        let of = |version, scripts: &[&str]| {
            found(&installed("timescaledb", version), &target("timescaledb", "2.17.2", scripts), &[])
        };
        let blocked = of("2.11.0", &["timescaledb--2.11.0--2.17.2"]);
        assert!(blocked.len() == 1 && blocked[0].blocks(), "{blocked:?}");
        assert!(blocked[0].text.contains("UPDATE TO '2.17.2'"), "{}", blocked[0]);
        assert_eq!(of("2.11.0", &["timescaledb--2.11.0"]), []);
        assert_eq!(of("2.17.2", &[]), []);
    }

    #[test]
    fn what_follows_the_upgrade_is_noted_with_who_does_it() {
        let entry = ledger(|it| it.update_function = Some("ledger.upgrade".into()));
        let note = |name, entry: &[ExtensionSpec]| {
            let found = found(&installed(name, "3.4"), &Offer::default(), entry);
            assert!(found.len() == 1 && !found[0].blocks(), "{found:?}");
            found[0].text.clone()
        };
        let run = note("ledger", &entry);
        assert!(
            run.contains("pgops runs ledger.upgrade() as superuser, as PostgresVersion 17.11 says"),
            "{run}"
        );
        assert!(note("citus", &[]).contains("run SELECT citus_finish_pg_upgrade() there"));
        let postgis = note("postgis", &[]);
        assert!(
            postgis.contains("SELECT postgis_extensions_upgrade() (") && postgis.contains(") does"),
            "{postgis}"
        );
    }

    #[test]
    fn entry_that_cannot_be_used_blocks() {
        let entry = ledger(|it| it.update_function = Some("f()".into()));
        let blocked = found(&BTreeSet::new(), &Offer::default(), &entry);
        assert!(blocked.len() == 1 && blocked[0].blocks(), "{blocked:?}");
        assert!(
            blocked[0].text.contains("PostgresVersion 17.11")
                && blocked[0].text.contains("[0].updateFunction")
        );
    }

    #[test]
    fn findings_about_extensions_are_documented_in_the_findings_page() {
        let page = include_str!("../../../../docs/reference/findings.md");
        for id in
            ["extension-entry", "extension-not-carried", "extension-update-first", "extension-follow-up"]
        {
            assert!(page.contains(&format!("`{id}`")), "docs/reference/findings.md lacks {id}");
        }
    }
}

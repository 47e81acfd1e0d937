//! What the comparison of the catalogs means to users.

use std::collections::BTreeMap;

use crate::postgres::census::compare::{Change, Difference, readable};
use crate::postgres::census::read::kind;
use crate::postgres::census::rules::{Meaning, meaning};
use crate::upgrade::{Finding, shortened};

/// A difference, and the database that has it.
pub struct Found {
    pub database: String,
    pub difference: Difference,
}

/// One finding for what is lost, and one for each text of what is told.
pub fn findings(found: &[Found]) -> Vec<Finding> {
    let mut lost = BTreeMap::<_, Vec<_>>::new();
    let mut told = BTreeMap::<_, Vec<_>>::new();
    for found in found {
        match meaning(&found.difference) {
            Meaning::Lost => lost.entry(kind(&found.difference.catalog)).or_default().push(found.to_string()),
            Meaning::Told(text) => told.entry(text).or_default().push(found.to_string()),
        }
    }
    let lost =
        lost.iter().map(|(kind, objects)| format!("{kind}: {}", shortened(objects))).collect::<Vec<_>>();
    let lost = (!lost.is_empty()).then(|| {
        let what = "pg_upgrade would lose these objects, or the changes of them, without a word, since a dump leaves out what \
                    is in the schemas of the system and what was changed of what is built in; move them into a schema of \
                    your own (ALTER … SET SCHEMA), or drop them; undo a change of what is built in, and make it again \
                    after the upgrade";
        Finding::new("not-carried", format!("{what}: {}", lost.join("; ")))
    });
    let told = told
        .iter()
        .map(|(text, objects)| Finding::note("not-carried", format!("{text}: {}", shortened(objects))));
    lost.into_iter().chain(told).collect()
}

pub fn dropped_built_in(objects: &[String]) -> Finding {
    let text = format!(
        "these built-in objects were dropped, or a part of them, and exist again after the upgrade, with the rights of a new \
         cluster: drop them again if they are not wanted: {}",
        shortened(objects)
    );
    Finding::note("built-in-dropped", text)
}

pub fn not_compared(unknown: &[String]) -> Finding {
    let text = format!(
        "this pgops does not know these columns of system catalogs, and does not compare what they hold; a newer pgops may: {}",
        shortened(unknown)
    );
    Finding::note("catalog-not-compared", text)
}

pub fn not_comparable(failed: &[String]) -> Finding {
    let text = format!(
        "what the system catalogs of these databases hold could not be compared, so what a dump leaves out is not known: {}",
        shortened(failed)
    );
    Finding::note("catalog-not-compared", text)
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { database, difference } = self;
        write!(f, "{}", readable(&difference.identity))?;
        if let Change::Columns(columns) = &difference.change {
            write!(f, " (changed: {})", columns.join(", "))?;
        }
        if difference.is_shared() { Ok(()) } else { write!(f, " in \"{database}\"") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::census::compare::CreatedBy;

    fn found(catalog: &str, identity: &str, change: Change) -> Found {
        let (catalog, identity) = (catalog.into(), identity.into());
        let difference = Difference { catalog, identity, created_by: CreatedBy::Users, change };
        Found { database: "shop".into(), difference }
    }

    #[test]
    fn equal_databases_have_no_finding() {
        assert_eq!(findings(&[]), []);
    }

    #[test]
    fn lost_objects_block_and_are_named_by_kind() {
        let found = [
            found("pg_proc", "pg_catalog.lost(integer)", Change::Missing),
            found("pg_ts_dict", "\"pg_catalog\".\"english_stem\"", Change::Missing),
        ];
        let findings = findings(&found);
        assert_eq!(findings.len(), 1);
        let text = findings[0].to_string();
        assert!(findings[0].blocks(), "{text}");
        for part in [
            "[not-carried] ",
            "functions: pg_catalog.lost(integer) in \"shop\"",
            "text search dictionaries: pg_catalog.english_stem in \"shop\"",
            "SET SCHEMA",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn change_of_a_detail_is_told_with_its_columns() {
        let findings = findings(&[found("pg_class", "s.t", Change::Columns(vec!["reloptions", "relam"]))]);
        assert!(findings.iter().all(|finding| !finding.blocks()), "{findings:?}");
        assert!(findings[0].text.ends_with(": s.t (changed: reloptions, relam) in \"shop\""), "{findings:?}");
    }

    #[test]
    fn loss_that_is_told_does_not_block() {
        let findings = findings(&[found("pg_replication_origin", "feed", Change::Missing)]);
        assert!(findings.iter().all(|finding| !finding.blocks()), "{findings:?}");
        assert!(findings[0].text.ends_with(": feed"), "{findings:?}");
    }

    #[test]
    fn change_of_what_is_built_in_blocks_and_is_told_with_its_columns() {
        let mut cast = found("pg_cast", "(text AS integer)", Change::Columns(vec!["castcontext"]));
        cast.difference.created_by = CreatedBy::Initdb;
        let findings = findings(&[cast]);
        assert!(findings[0].blocks(), "{findings:?}");
        let text = "casts: (text AS integer) (changed: castcontext) in \"shop\"";
        assert!(findings[0].text.ends_with(text), "{findings:?}");
    }

    #[test]
    fn dropped_objects_are_told() {
        let finding = dropped_built_in(&["schema public in \"shop\"".into()]);
        assert!(!finding.blocks() && finding.text.ends_with(": schema public in \"shop\""), "{finding}");
    }

    #[test]
    fn columns_of_later_versions_are_named() {
        let finding = not_compared(&["pg_proc.pronew".into()]);
        assert!(!finding.blocks() && finding.text.ends_with("pg_proc.pronew"), "{finding}");
    }
}

//! What a difference means for the upgrade.

use super::compare::{Change, CreatedBy, Difference};

/// What is to be done about a difference that the rehearsal has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// The upgrade would lose or change it without a word.
    Lost,
    /// It is lost, too, but only told: the text says what it is and what to do about it.
    Told(&'static str),
}

struct Rule {
    catalog: &'static str,
    applies: fn(&Difference) -> bool,
    told: &'static str,
}

/// What differs only in a detail.
const CHANGED: &str = "a restore gives these another definition in the columns of the system catalog that are named; compare them \
                       with the old server's after the upgrade";

const RULES: [Rule; 4] = [
    Rule {
        catalog: "pg_extension",
        applies: |difference| difference.change == Change::Columns(vec!["extowner"]),
        told: "the superuser owns these extensions afterwards: only a superuser can update or drop them then",
    },
    Rule {
        catalog: "pg_replication_origin",
        applies: |_| true,
        told: "replication origins are not carried over: create them again afterwards (pg_replication_origin_create), and \
               set their progress",
    },
    Rule {
        catalog: "pg_description",
        applies: |_| true,
        told: "comments on built-in objects are not carried over: COMMENT again afterwards",
    },
    Rule {
        catalog: "pg_shdescription",
        applies: |_| true,
        told: "comments on built-in objects are not carried over: COMMENT again afterwards",
    },
];

/// What a difference means.
#[must_use]
pub fn meaning(difference: &Difference) -> Meaning {
    let rule = RULES.iter().find(|rule| rule.catalog == difference.catalog && (rule.applies)(difference));
    match (rule, &difference.change, difference.created_by) {
        (Some(rule), ..) => Meaning::Told(rule.told),
        (None, Change::Columns(_), CreatedBy::Users) => Meaning::Told(CHANGED),
        // The new cluster has its own row of what is built in.
        (None, Change::Columns(_), CreatedBy::Initdb) | (None, Change::Missing, _) => Meaning::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(catalog: &str, change: Change) -> Difference {
        let identity = "x".into();
        Difference { catalog: catalog.into(), identity, created_by: CreatedBy::Users, change }
    }

    #[test]
    fn object_that_is_missing_is_lost_unless_a_rule_tells_it() {
        assert_eq!(meaning(&difference("pg_proc", Change::Missing)), Meaning::Lost);
        assert_eq!(meaning(&difference("pg_extension", Change::Missing)), Meaning::Lost);
        let moved = Change::Columns(vec!["extowner", "extnamespace"]);
        assert_eq!(meaning(&difference("pg_extension", moved)), Meaning::Told(CHANGED));
    }

    #[test]
    fn change_of_what_is_built_in_is_lost() {
        let users = difference("pg_proc", Change::Columns(vec!["procost"]));
        assert_eq!(meaning(&users), Meaning::Told(CHANGED));
        let built_in = Difference { created_by: CreatedBy::Initdb, ..users };
        assert_eq!(meaning(&built_in), Meaning::Lost);
    }

    #[test]
    fn difference_with_a_rule_is_told() {
        let owner = difference("pg_extension", Change::Columns(vec!["extowner"]));
        assert!(matches!(meaning(&owner), Meaning::Told(text) if text.contains("superuser")));
        assert!(matches!(meaning(&difference("pg_description", Change::Missing)), Meaning::Told(_)));
    }
}

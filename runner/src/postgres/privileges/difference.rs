//! A right that exists after a restore and did not before, and that the upgrade does not explain.

use std::fmt;

/// One right too many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The role or object, such as `role "tenant"`.
    pub object: String,
    /// The database that it belongs to, if it belongs to one.
    pub database: Option<String>,
    pub before: String,
    pub after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        if let Some(database) = &self.database {
            write!(f, " in \"{database}\"")?;
        }
        write!(f, ": {} (before: {})", self.after, self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_names_the_object_and_both_sides() {
        let difference = Difference {
            object: "role \"tenant\"".into(),
            database: None,
            before: "no SUPERUSER".into(),
            after: "SUPERUSER".into(),
        };
        assert_eq!(difference.to_string(), "role \"tenant\": SUPERUSER (before: no SUPERUSER)");
        let difference =
            Difference { object: "schema s".into(), database: Some("shop".into()), ..difference };
        assert!(difference.to_string().starts_with("schema s in \"shop\": "), "{difference}");
    }
}

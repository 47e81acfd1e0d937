//! One attack.

use std::ops::RangeInclusive;

/// An attack in a database of its own, which a role of its own owns.
pub struct Case {
    /// Its name, also part of the names of its database and of its role.
    pub name: &'static str,
    /// Major versions in which it can be created.
    pub on: RangeInclusive<u32>,
    /// What the superuser creates first.
    pub before: &'static str,
    /// What the role creates.
    pub sql: &'static str,
    /// What the superuser creates afterwards.
    pub after: &'static str,
    /// The expected findings.
    pub expected: Expected,
}

/// What the preflight must report.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// A restore would evaluate the code: `restore-code` with this object, and the database is not rehearsed.
    Refused(&'static str),
    /// The restore evaluates the code as superuser: both findings, the first with this object.
    Escalates(&'static str),
    /// The restore evaluates the code as another role: `restore-code` with this object.
    Runs(&'static str),
    /// The restore does not evaluate the code: the note `code-in-definitions` with this object.
    Noted(&'static str),
    /// No definition is evaluated, and none is named.
    Silent,
}

/// Functions of the role: one that acts as soon as it has the rights to, and one that looks like a constant.
pub const FUNCTIONS: &str = "
    CREATE FUNCTION s.act() RETURNS int VOLATILE LANGUAGE plpgsql AS $$
        BEGIN EXECUTE 'ALTER ROLE ROLE_NAME SUPERUSER'; RETURN 0; END $$;
    CREATE FUNCTION s.key(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN PERFORM s.act(); END IF;
            RETURN 0;
        END $$;";

impl Case {
    const fn new(name: &'static str, sql: &'static str, expected: Expected) -> Self {
        Self { name, on: 10..=99, before: "", sql, after: "", expected }
    }

    pub(super) const fn refused(name: &'static str, object: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Refused(object))
    }

    pub(super) const fn escalates(name: &'static str, object: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Escalates(object))
    }

    pub(super) const fn runs(name: &'static str, object: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Runs(object))
    }

    pub(super) const fn noted(name: &'static str, object: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Noted(object))
    }

    pub(super) const fn silent(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Silent)
    }

    /// Sets the major versions in which it can be created.
    pub(super) const fn on(self, on: RangeInclusive<u32>) -> Self {
        Self { on, ..self }
    }

    /// Sets what the superuser creates first.
    pub(super) const fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    /// Sets what the superuser creates afterwards.
    pub(super) const fn after(self, after: &'static str) -> Self {
        Self { after, ..self }
    }

    /// Whether the preflight must refuse the upgrade.
    #[must_use]
    pub fn blocks(&self) -> bool {
        matches!(self.expected, Expected::Refused(_) | Expected::Escalates(_) | Expected::Runs(_))
    }

    /// Name of its role and of its database. Some names of cases are keywords.
    #[must_use]
    pub fn role(&self) -> String {
        format!("by_{}", self.name)
    }

    /// The whole script, to be run as the superuser in the case's database.
    #[must_use]
    pub fn script(&self) -> String {
        let Self { before, sql, after, .. } = self;
        let script = format!(
            "CREATE SCHEMA s AUTHORIZATION ROLE_NAME; {before}; SET ROLE ROLE_NAME; {FUNCTIONS} {sql}; RESET ROLE; {after}"
        );
        script.replace("ROLE_NAME", &self.role())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalation::all_cases;
    use std::collections::BTreeSet;

    #[test]
    fn script_of_a_case_acts_for_its_own_role() {
        let case = Case::silent("a_case", "CREATE VIEW s.v AS SELECT 1")
            .after("GRANT CREATE ON SCHEMA s TO ROLE_NAME");
        let script = case.script();
        assert!(script.contains("'ALTER ROLE by_a_case SUPERUSER'"), "{script}");
        assert!(script.ends_with("RESET ROLE; GRANT CREATE ON SCHEMA s TO by_a_case"), "{script}");
    }

    #[test]
    fn cases_have_unique_names_that_need_no_quotes() {
        let names: BTreeSet<_> = all_cases().map(|case| case.name).collect();
        assert_eq!(names.len(), all_cases().count());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}

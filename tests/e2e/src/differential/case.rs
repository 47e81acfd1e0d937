//! One data set, and the expected answers of both sides.

use std::ops::RangeInclusive;

/// A data set of the comparison, in its own database or in the whole server.
pub struct Case {
    /// The name of the case and of its database.
    pub name: &'static str,
    /// Where it is created.
    pub scope: Scope,
    /// Major versions in which it can be created.
    pub on: RangeInclusive<u32>,
    /// Directories that it needs, relative to the root of the volume.
    pub directories: &'static [&'static str],
    /// The script that creates it, in the format of `tests/sql`.
    pub sql: &'static str,
    /// Statements that must run before its database can be dropped, or that remove it from the server.
    pub undo: &'static str,
    /// The expected answers.
    pub expected: Expected,
    /// The pairs of versions to which these apply; for the others both sides pass it.
    pub applies: Applies,
    /// Whether its server has no other case, because its finding prevents further checks.
    pub alone: bool,
}

/// Where a case is created.
pub enum Scope {
    /// In a database, created with these options.
    Database(&'static str),
    /// In the whole server.
    Server,
}

/// The answers of both sides to a case.
#[derive(Clone, Copy)]
pub enum Expected {
    /// Both pass it.
    Passed,
    /// Both refuse it.
    Refused {
        /// Id and part of each finding of the preflight.
        ours: Findings,
        /// Part of `pg_upgrade`'s output, reports or logs.
        theirs: &'static str,
    },
    /// `pg_upgrade` by itself refuses it, but pgops upgrades it.
    Remedied {
        /// Part of `pg_upgrade`'s output.
        theirs: &'static str,
        /// pgops' remedy.
        by: &'static str,
    },
    /// Only the preflight refuses it, on purpose.
    Stricter {
        /// Id and part of each finding of the preflight.
        ours: Findings,
        /// What would go wrong otherwise.
        because: &'static str,
    },
}

/// Ids of findings, each with part of its text.
pub type Findings = &'static [(&'static str, &'static str)];

/// The pairs of versions to which a case applies.
#[derive(Clone, Copy)]
pub enum Applies {
    /// All of them.
    Always,
    /// Upgrades to or across this major version.
    Across(u32),
    /// Upgrades to an earlier major version.
    Before(u32),
}

impl Case {
    const fn new(name: &'static str, sql: &'static str, expected: Expected) -> Self {
        Self {
            name,
            scope: Scope::Database(""),
            on: 10..=99,
            directories: &[],
            sql,
            undo: "",
            expected,
            applies: Applies::Always,
            alone: false,
        }
    }

    /// Both pass it.
    pub const fn passed(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Passed)
    }

    /// Both refuse it.
    pub const fn refused(
        name: &'static str,
        sql: &'static str,
        ours: Findings,
        theirs: &'static str,
    ) -> Self {
        Self::new(name, sql, Expected::Refused { ours, theirs })
    }

    /// `pg_upgrade` by itself refuses it, but pgops upgrades it.
    pub const fn remedied(
        name: &'static str,
        sql: &'static str,
        theirs: &'static str,
        by: &'static str,
    ) -> Self {
        Self::new(name, sql, Expected::Remedied { theirs, by }).alone()
    }

    /// Only the preflight refuses it.
    pub const fn stricter(
        name: &'static str,
        sql: &'static str,
        ours: Findings,
        because: &'static str,
    ) -> Self {
        Self::new(name, sql, Expected::Stricter { ours, because })
    }

    /// Sets the options of its `CREATE DATABASE`.
    pub const fn with(self, options: &'static str) -> Self {
        Self { scope: Scope::Database(options), ..self }
    }

    /// It is created in the whole server.
    pub const fn in_server(self) -> Self {
        Self { scope: Scope::Server, ..self }
    }

    /// It can be created in these major versions.
    pub const fn on(self, on: RangeInclusive<u32>) -> Self {
        Self { on, ..self }
    }

    /// It applies to upgrades to or across a major version.
    pub const fn across(self, major: u32) -> Self {
        Self { applies: Applies::Across(major), ..self }
    }

    /// It applies to upgrades to an earlier major version.
    pub const fn before(self, major: u32) -> Self {
        Self { applies: Applies::Before(major), ..self }
    }

    /// Statements that must run before its removal.
    pub const fn undo(self, undo: &'static str) -> Self {
        Self { undo, ..self }
    }

    /// Sets the directories that it needs.
    pub const fn directories(self, directories: &'static [&'static str]) -> Self {
        Self { directories, ..self }
    }

    /// Its server has no other case.
    pub const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// The expected answers for an upgrade between two major versions.
    #[must_use]
    pub fn expected(&self, old: u32, new: u32) -> Expected {
        match self.applies {
            Applies::Across(major) if old >= major || new < major => Expected::Passed,
            Applies::Before(major) if new >= major => Expected::Passed,
            _ => self.expected,
        }
    }

    /// The database in which its script starts.
    #[must_use]
    pub fn database(&self) -> &str {
        match self.scope {
            Scope::Database(_) => self.name,
            Scope::Server => "postgres",
        }
    }

    /// The statement that creates its database, if it has one.
    #[must_use]
    pub fn create(&self) -> Option<String> {
        match self.scope {
            Scope::Database(options) => Some(format!("CREATE DATABASE {} {options}", identifier(self.name))),
            Scope::Server => None,
        }
    }

    /// The psql script that removes it from the server without a trace.
    #[must_use]
    pub fn removal(&self) -> String {
        let undo = match self.undo {
            "" => String::new(),
            undo => format!("\\connect {}\n{undo};\n\\connect postgres\n", identifier(self.database())),
        };
        match self.scope {
            // Its files were not copied, and dropping dozens of databases for each case would be slow.
            Scope::Database(_) => {
                format!(
                    "{undo}DELETE FROM pg_database WHERE datname = '{}';\n",
                    self.name.replace('\'', "''")
                )
            }
            Scope::Server => undo,
        }
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_applies_to_upgrades_across_its_version() {
        let case = Case::refused("a", "", &[], "").across(16);
        let is_passed = |old, new| matches!(case.expected(old, new), Expected::Passed);
        assert!(!is_passed(15, 16) && !is_passed(13, 17));
        assert!(is_passed(13, 15) && is_passed(16, 17));
    }
}

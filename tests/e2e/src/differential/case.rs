//! One data set, and what both sides should say of it.

use std::ops::RangeInclusive;

/// A data set of the comparison, in a database of its own or in the server as a whole.
pub struct Case {
    /// Its name, and that of its database.
    pub name: &'static str,
    /// Where it is made.
    pub place: Place,
    /// Major versions in which it can be made.
    pub on: RangeInclusive<u32>,
    /// Directories that it needs on the volume, below its root.
    pub directories: &'static [&'static str],
    /// What makes it, a script of the kind in `tests/sql`.
    pub sql: &'static str,
    /// What must be done before its database can be dropped, or takes it away from the server.
    pub undo: &'static str,
    /// What is expected.
    pub expected: Expected,
    /// The pairs of versions for which that holds; for the others both sides pass it.
    pub matters: Matters,
    /// Whether its server has no other case, since its finding keeps us from looking further.
    pub alone: bool,
}

/// Where a case is made.
pub enum Place {
    /// In a database, created with these options.
    Database(&'static str),
    /// In the server as a whole.
    Server,
}

/// What both sides say of a case.
#[derive(Clone, Copy)]
pub enum Expected {
    /// Both pass it.
    Fine,
    /// Both refuse it.
    Refused {
        /// Id and part of each finding of ours.
        ours: Findings,
        /// A part of what `pg_upgrade` says, or of its report or log.
        theirs: &'static str,
    },
    /// Only `pg_upgrade` by itself refuses it.
    Remedied {
        /// A part of what it says.
        theirs: &'static str,
        /// What we do about it.
        by: &'static str,
    },
    /// Only we refuse it, on purpose.
    Stricter {
        /// Id and part of each finding of ours.
        ours: Findings,
        /// What would go wrong.
        because: &'static str,
    },
}

/// Ids of findings, each with a part of its text.
pub type Findings = &'static [(&'static str, &'static str)];

/// The pairs of versions that a case matters for.
#[derive(Clone, Copy)]
pub enum Matters {
    /// All of them.
    Always,
    /// Those that come to or cross this major version.
    Across(u32),
    /// Those that come to an earlier major version.
    Before(u32),
}

impl Case {
    const fn new(name: &'static str, sql: &'static str, expected: Expected) -> Self {
        Self {
            name,
            place: Place::Database(""),
            on: 10..=99,
            directories: &[],
            sql,
            undo: "",
            expected,
            matters: Matters::Always,
            alone: false,
        }
    }

    /// Both pass it.
    pub const fn fine(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Expected::Fine)
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

    /// Only `pg_upgrade` by itself refuses it.
    pub const fn remedied(
        name: &'static str,
        sql: &'static str,
        theirs: &'static str,
        by: &'static str,
    ) -> Self {
        Self::new(name, sql, Expected::Remedied { theirs, by }).alone()
    }

    /// Only we refuse it.
    pub const fn stricter(
        name: &'static str,
        sql: &'static str,
        ours: Findings,
        because: &'static str,
    ) -> Self {
        Self::new(name, sql, Expected::Stricter { ours, because })
    }

    /// Options of its database's creation.
    pub const fn with(self, options: &'static str) -> Self {
        Self { place: Place::Database(options), ..self }
    }

    /// It is made in the server as a whole.
    pub const fn in_server(self) -> Self {
        Self { place: Place::Server, ..self }
    }

    /// It can be made in these major versions.
    pub const fn on(self, on: RangeInclusive<u32>) -> Self {
        Self { on, ..self }
    }

    /// It matters to upgrades that come to or cross a major version.
    pub const fn across(self, major: u32) -> Self {
        Self { matters: Matters::Across(major), ..self }
    }

    /// It matters to upgrades that come to an earlier major version.
    pub const fn before(self, major: u32) -> Self {
        Self { matters: Matters::Before(major), ..self }
    }

    /// What must be done before it goes.
    pub const fn undo(self, undo: &'static str) -> Self {
        Self { undo, ..self }
    }

    /// Directories that it needs.
    pub const fn directories(self, directories: &'static [&'static str]) -> Self {
        Self { directories, ..self }
    }

    /// Its server has no other case.
    pub const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// What is expected of it on the way between two major versions.
    #[must_use]
    pub fn expected(&self, old: u32, new: u32) -> Expected {
        match self.matters {
            Matters::Across(major) if old >= major || new < major => Expected::Fine,
            Matters::Before(major) if new >= major => Expected::Fine,
            _ => self.expected,
        }
    }

    /// The database that its statements begin in.
    #[must_use]
    pub fn database(&self) -> &str {
        match self.place {
            Place::Database(_) => self.name,
            Place::Server => "postgres",
        }
    }

    /// The statement that creates its database, if it has one.
    #[must_use]
    pub fn create(&self) -> Option<String> {
        match self.place {
            Place::Database(options) => Some(format!("CREATE DATABASE {} {options}", identifier(self.name))),
            Place::Server => None,
        }
    }

    /// What psql must run so that the server is as if it had never been made.
    #[must_use]
    pub fn removal(&self) -> String {
        let undo = match self.undo {
            "" => String::new(),
            undo => format!("\\connect {}\n{undo};\n\\connect postgres\n", identifier(self.database())),
        };
        match self.place {
            // Its files are not there, and to drop dozens of databases for each case takes its time.
            Place::Database(_) => {
                format!(
                    "{undo}DELETE FROM pg_database WHERE datname = '{}';\n",
                    self.name.replace('\'', "''")
                )
            }
            Place::Server => undo,
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
    fn a_change_matters_to_the_upgrades_that_cross_it() {
        let case = Case::refused("a", "", &[], "").across(16);
        let is_fine = |old, new| matches!(case.expected(old, new), Expected::Fine);
        assert!(!is_fine(15, 16) && !is_fine(13, 17));
        assert!(is_fine(13, 15) && is_fine(16, 17));
    }
}

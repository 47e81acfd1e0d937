//! Extensions that Debian packages: how they are created and used, and what must hold after each upgrade. The scripts in
//! `tests/sql/extensions`.

use std::ops::RangeInclusive;

use anyhow::{Context, ensure};

use crate::connection::rows;
use crate::database::Database;
use crate::script::run_script;

/// An extension, or what is related to one, such as an output plugin.
pub struct PackagedExtension {
    /// Name of its script.
    pub name: &'static str,
    /// Major versions that Debian packages it for, among those of the test images.
    pub majors: RangeInclusive<u32>,
    script: &'static str,
}

/// What separates the creation from the checks in a script.
const CHECKS: &str = "\n-- checks\n";

macro_rules! packaged {
    ($name:literal, $majors:expr) => {
        PackagedExtension {
            name: $name,
            majors: $majors,
            script: include_str!(concat!("../../sql/extensions/", $name, ".sql")),
        }
    };
}

/// All of them. The first has what the others use.
pub const PACKAGED_EXTENSIONS: &[PackagedExtension] = &[
    packaged!("prelude", 13..=18),
    packaged!("debversion", 13..=18),
    packaged!("hll", 13..=18),
    packaged!("hypopg", 13..=18),
    packaged!("ip4r", 13..=18),
    packaged!("orafce", 13..=18),
    packaged!("periods", 13..=17),
    packaged!("pg_cron", 13..=18),
    packaged!("pg_partman", 13..=18),
    packaged!("pg_repack", 13..=18),
    packaged!("pgaudit", 13..=18),
    packaged!("pglogical", 13..=18),
    packaged!("postgis", 13..=18),
    packaged!("prefix", 13..=18),
    packaged!("q3c", 13..=18),
    packaged!("rum", 13..=18),
    packaged!("unit", 13..=18),
    packaged!("vector", 17..=18),
    packaged!("wal2json", 13..=18),
];

/// The one with this name.
pub fn packaged_extension(name: &str) -> anyhow::Result<&'static PackagedExtension> {
    let found = PACKAGED_EXTENSIONS.iter().find(|extension| extension.name == name);
    found.with_context(|| format!("tests/sql/extensions has no {name}"))
}

impl PackagedExtension {
    /// Creates it in the database `dbname`, with objects and data that use it.
    pub async fn create(&self, database: &Database, dbname: &str) -> anyhow::Result<()> {
        let (create, _) = self.script.split_once(CHECKS).context("the script has no checks")?;
        run_script(database, dbname, create).await.with_context(|| format!("failed to create {}", self.name))
    }

    /// Fails with the queries that are not true, in one session: each must return one row.
    pub async fn check(&self, database: &Database, dbname: &str) -> anyhow::Result<()> {
        let client = database.connect(dbname).await?;
        let mut failed = Vec::new();
        for query in self.checks() {
            match rows(&client, query).await {
                Ok(found) if found == [["t"]] => {}
                Ok(found) => failed.push(format!("{query}: {found:?}")),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        ensure!(failed.is_empty(), "{} checks of {} failed:\n{}", failed.len(), self.name, failed.join("\n"));
        Ok(())
    }

    fn checks(&self) -> impl Iterator<Item = &'static str> {
        let checks = self.script.split_once(CHECKS).map_or("", |(_, checks)| checks);
        checks.split(";\n").map(str::trim).filter(|query| !query.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packaged_extensions_have_checks_and_are_known_once() {
        for extension in PACKAGED_EXTENSIONS {
            assert!(extension.checks().count() > 0, "{}", extension.name);
            assert!(extension.checks().all(|query| query.starts_with("SELECT ")), "{}", extension.name);
        }
        let mut names: Vec<_> = PACKAGED_EXTENSIONS.iter().map(|extension| extension.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PACKAGED_EXTENSIONS.len());
    }
}

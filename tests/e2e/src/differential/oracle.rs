//! The answer of the real `pg_upgrade`.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::case::Case;
use super::pair::Pair;
use crate::database::Database;
use crate::dual_version_pod::STRIP_OPTIONS;
use crate::manual_pg_upgrade::ManualPgUpgrade;

/// One run of `pg_upgrade`.
#[derive(Debug)]
pub struct PgUpgradeRun {
    /// How far it came.
    pub outcome: Outcome,
    /// Its output, with its reports and the errors in its logs.
    pub output: String,
}

/// How far `pg_upgrade` came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// `pg_upgrade --check` refuses.
    CheckFailed,
    /// The check passes, and the upgrade fails.
    UpgradeFailed,
    /// The upgrade succeeds.
    Passed,
}

/// A pod with copies of a halted database's data.
pub struct Oracle {
    pod: ManualPgUpgrade,
    variables: String,
    /// OIDs of the databases by their names in hexadecimal digits.
    oids: BTreeMap<String, String>,
}

impl Oracle {
    /// Stops the database, and starts the pod.
    pub async fn start(database: &Database, pair: &Pair) -> anyhow::Result<Self> {
        // A name need not be valid UTF-8.
        let names = "SELECT encode(textsend(datname::text), 'hex'), oid FROM pg_database";
        let oids = database.sql("postgres", names).await?;
        let oids = oids.into_iter().filter_map(|row| <[String; 2]>::try_from(row).ok());
        let oids = oids.map(|[name, oid]| (name, oid)).collect();
        database.halt().await?;
        let pod = ManualPgUpgrade::start(database, pair.from, pair.to).await?;
        let (old, new) = pair.majors();
        // The options with which pgops initialises a database by default.
        let options = "--encoding=UTF8 --locale=C.UTF-8 --data-checksums";
        let variables = format!("old={old} new={new} initdb_options='{options}'");
        Ok(Self { pod, variables, oids })
    }

    /// Runs `pg_upgrade` on the data without these cases.
    pub async fn run_without(&self, others: &[&Case]) -> anyhow::Result<PgUpgradeRun> {
        let removals: String = others.iter().copied().map(Case::removal).collect();
        // The undo statements of a case need its database.
        let omitted = others
            .iter()
            .filter(|other| other.undo.is_empty())
            .filter_map(|other| self.oids.get(&hex(other.name)));
        let omitted: Vec<_> = omitted.map(String::as_str).collect();
        let script = format!(
            "{STRIP_OPTIONS}\n{}\nomitted_oids='{}'\nremovals=$(cat <<'END_OF_SQL'\n{removals}\nEND_OF_SQL\n)\n{}",
            self.variables,
            omitted.join(" "),
            include_str!("oracle.sh")
        );
        let output = self.pod.bash(&script).await?;
        parse(&output.stdout).with_context(|| format!("{}{}", output.stdout, output.stderr))
    }
}

/// Like the server's `encode(…, 'hex')`.
fn hex(text: &str) -> String {
    let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn parse(output: &str) -> anyhow::Result<PgUpgradeRun> {
    let (output, word) =
        output.trim_end().rsplit_once("outcome: ").context("the script printed no outcome")?;
    let outcome = match word {
        "check-failed" => Some(Outcome::CheckFailed),
        "upgrade-failed" => Some(Outcome::UpgradeFailed),
        "passed" => Some(Outcome::Passed),
        _ => None,
    };
    ensure!(!output.trim().is_empty(), "pg_upgrade printed nothing");
    Ok(PgUpgradeRun { outcome: outcome.context("unknown outcome")?, output: output.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_is_the_last_line_and_required() {
        assert_eq!(
            parse("Checking x  ok\noutcome: upgrade-failed\n").unwrap().outcome,
            Outcome::UpgradeFailed
        );
        assert!(parse("Checking x  ok\n").is_err());
        assert!(parse("outcome: passed\n").is_err());
    }
}

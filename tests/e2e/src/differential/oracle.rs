//! What the real `pg_upgrade` says.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::case::Case;
use super::pair::Pair;
use crate::by_hand::STRIP_OPTIONS;
use crate::{ByHand, Database};

/// Its verdict.
#[derive(Debug)]
pub struct Verdict {
    /// How far it came.
    pub end: End,
    /// All that it printed, with its reports and the errors of its logs.
    pub said: String,
}

/// How far it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// `pg_upgrade --check` refuses.
    Check,
    /// The check passes, and the upgrade fails.
    Upgrade,
    /// It is done.
    Passed,
}

/// A pod with copies of a halted database's data.
pub struct Oracle {
    by_hand: ByHand,
    variables: String,
    /// The databases by their names in hexadecimal digits.
    oids: BTreeMap<String, String>,
}

impl Oracle {
    /// Stops the database, and starts the pod.
    pub async fn start(database: &Database, pair: &Pair) -> anyhow::Result<Self> {
        // A name need not be UTF-8.
        let names = "SELECT encode(textsend(datname::text), 'hex'), oid FROM pg_database";
        let oids = database.sql("postgres", names).await?;
        let oids = oids.into_iter().filter_map(|row| <[String; 2]>::try_from(row).ok());
        let oids = oids.map(|[name, oid]| (name, oid)).collect();
        database.halt().await?;
        let by_hand = ByHand::start(database, pair.from, pair.to).await?;
        let (old, new) = pair.majors();
        // As pgops initialises a database where nothing is said.
        let options = "--encoding=UTF8 --locale=C.UTF-8 --data-checksums";
        let variables = format!("old={old} new={new} initdb_options='{options}'");
        Ok(Self { by_hand, variables, oids })
    }

    /// Asks it about the data without these cases.
    pub async fn ask_without(&self, others: &[&Case]) -> anyhow::Result<Verdict> {
        let removals: String = others.iter().copied().map(Case::removal).collect();
        // What is undone first needs its database.
        let gone = others
            .iter()
            .filter(|other| other.undo.is_empty())
            .filter_map(|other| self.oids.get(&hex(other.name)));
        let gone: Vec<_> = gone.map(String::as_str).collect();
        let script = format!(
            "{STRIP_OPTIONS}\n{}\nleft_out='{}'\nleave_out=$(cat <<'END_OF_SQL'\n{removals}\nEND_OF_SQL\n)\n{}",
            self.variables,
            gone.join(" "),
            include_str!("oracle.sh")
        );
        let output = self.by_hand.bash(&script).await?;
        read(&output.stdout).with_context(|| format!("{}{}", output.stdout, output.stderr))
    }
}

/// As the server's `encode(…, 'hex')` gives it.
fn hex(text: &str) -> String {
    let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn read(output: &str) -> anyhow::Result<Verdict> {
    let (said, word) = output.trim_end().rsplit_once("verdict: ").context("there is no verdict")?;
    let end = match word {
        "check" => Some(End::Check),
        "upgrade" => Some(End::Upgrade),
        "passes" => Some(End::Passed),
        _ => None,
    };
    ensure!(!said.trim().is_empty(), "pg_upgrade has said nothing");
    Ok(Verdict { end: end.context("that is no verdict")?, said: said.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_the_last_line_and_never_made_up() {
        assert_eq!(read("Checking x  ok\nverdict: upgrade\n").unwrap().end, End::Upgrade);
        assert!(read("Checking x  ok\n").is_err());
        assert!(read("verdict: passes\n").is_err());
    }
}

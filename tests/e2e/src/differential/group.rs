//! Cases that share a server, and their comparison on the cluster.

use std::fmt;

use serde_json::json;

use super::case::{Case, Expected};
use super::comparison::{Comparison, compare, expected_findings};
use super::oracle::{Oracle, Outcome};
use super::pair::Pair;
use super::preflight::Finding;
use super::{cases, preflight};
use crate::cluster::Cluster;
use crate::database::Database;
use crate::dataset::DataSet;
use crate::namespace::Namespace;
use crate::script::run_script;

/// The cases of a pair that share a server.
pub struct Group {
    pair: Pair,
    name: String,
    /// Whole data sets that are loaded in addition.
    sets: Vec<DataSet>,
    cases: Vec<&'static Case>,
}

/// All cases that can be created in the old version of a pair, grouped by server.
#[must_use]
pub fn groups(pair: Pair) -> Vec<Group> {
    let (old, _) = pair.majors();
    let available = cases::ALL.iter().copied().flatten().filter(|case| case.on.contains(&old));
    let (passed, refused): (Vec<_>, Vec<_>) = available.partition(|case| is_passed(case, pair));
    let (alone, together): (Vec<_>, Vec<_>) = refused.into_iter().partition(|case| case.alone);
    let group = |name: &str, sets, cases| Group { pair, name: name.to_owned(), sets, cases };
    let whole = if old >= 15 { DataSet::Contrib } else { DataSet::Everything };
    let mut groups = vec![group("passed", vec![whole], passed), group("refused", vec![], together)];
    groups.extend(alone.into_iter().map(|case| group(case.name, vec![], vec![case])));
    groups
}

fn expected(case: &Case, pair: Pair) -> Expected {
    let (old, new) = pair.majors();
    case.expected(old, new)
}

fn is_passed(case: &Case, pair: Pair) -> bool {
    matches!(expected(case, pair), Expected::Passed)
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}, {}", self.pair.from, self.pair.to, self.name)
    }
}

impl Group {
    /// Keeps the cases whose description, such as `13.16 to 17.11, refused: closed`, is `wanted`; none if no case
    /// is left.
    #[must_use]
    pub fn filtered(mut self, wanted: impl Fn(&str) -> bool) -> Option<Self> {
        let prefix = self.to_string();
        self.cases.retain(|case| wanted(&format!("{prefix}: {}", case.name)));
        (!self.cases.is_empty()).then_some(self)
    }

    /// Compares both sides for all cases of the group.
    pub async fn compare(&self, cluster: &Cluster) -> Comparison {
        let mut comparison = Comparison::default();
        let compared = cluster
            .with_namespace(async |ns| {
                comparison.extend(self.compare_in(ns).await?);
                Ok(())
            })
            .await;
        comparison.mismatches.extend(compared.err().map(|error| format!("{error:#}")));
        let prefixed = |line: &String| format!("{self}: {line}");
        Comparison {
            lines: comparison.lines.iter().map(prefixed).collect(),
            mismatches: comparison.mismatches.iter().map(prefixed).collect(),
        }
    }

    async fn compare_in(&self, ns: &Namespace) -> anyhow::Result<Comparison> {
        let mut comparison = Comparison::default();
        let orders = self.create_database(ns).await?;
        let cases = self.create_cases(&orders, &mut comparison).await;
        // pg_upgrade's answer is worth knowing even if the preflight fails.
        let findings = preflight::run(&orders, &self.pair).await.unwrap_or_else(|error| {
            comparison.mismatches.push(format!("{error:#}"));
            Vec::new()
        });
        let oracle = Oracle::start(&orders, &self.pair).await?;
        self.report_unexpected_findings(&cases, &findings, &mut comparison);
        if cases.iter().all(|case| is_passed(case, self.pair)) {
            self.compare_passed(&oracle, &cases, &mut comparison).await?;
            return Ok(comparison);
        }
        self.compare_each(&oracle, &cases, &findings, &mut comparison).await?;
        if let [case] = cases[..]
            && let Expected::Remedied { .. } = expected(case, self.pair)
        {
            self.ensure_pgops_upgrades(ns).await?;
        }
        Ok(comparison)
    }

    async fn create_database(&self, ns: &Namespace) -> anyhow::Result<Database> {
        let settings = "max_prepared_transactions = 10\nwal_level = logical\n";
        ns.secret("conf", "user.conf", settings).await?;
        let orders = ns.postgres("orders").version(self.pair.from);
        orders.field("configSecret", json!({"name": "conf"})).filled_with(&self.sets).await
    }

    /// Creates the cases; returns those that could be created.
    async fn create_cases(&self, orders: &Database, comparison: &mut Comparison) -> Vec<&'static Case> {
        let (old, _) = self.pair.majors();
        let mut created = Vec::new();
        for case in &self.cases {
            match create(orders, case, old).await {
                Ok(()) => created.push(*case),
                Err(error) => {
                    comparison.mismatches.push(format!("{} could not be created: {error:#}", case.name));
                }
            }
        }
        created
    }

    fn report_unexpected_findings(&self, cases: &[&Case], findings: &[Finding], comparison: &mut Comparison) {
        let refused: Vec<_> = cases.iter().filter(|case| !is_passed(case, self.pair)).collect();
        let wanted: Vec<_> =
            cases.iter().flat_map(|case| expected_findings(expected(case, self.pair))).collect();
        let unexpected = findings.iter().filter(|finding| {
            // The restore of a database with another finding fails as well.
            let is_consequence =
                refused.iter().any(|case| finding.text.starts_with(&format!("database \"{}\": ", case.name)));
            let is_wanted = wanted.iter().any(|(id, part)| finding.matches(id, part));
            !finding.is_note && !is_wanted && !is_consequence
        });
        comparison
            .mismatches
            .extend(unexpected.map(|finding| format!("a finding that belongs to no case: {finding:?}")));
    }

    /// One upgrade for all cases, which both sides should pass.
    async fn compare_passed(
        &self,
        oracle: &Oracle,
        cases: &[&Case],
        comparison: &mut Comparison,
    ) -> anyhow::Result<()> {
        let run = oracle.run_without(&[]).await?;
        if run.outcome != Outcome::Passed {
            comparison
                .mismatches
                .push(format!("pg_upgrade refuses what the preflight passes: {}", run.output));
            return Ok(());
        }
        let names = cases.iter().map(|case| case.name.to_owned());
        let names = names.chain(self.sets.iter().map(|set| format!("{set:?}")));
        comparison.lines.extend(names.map(|name| format!("{name}: both pass")));
        Ok(())
    }

    /// One upgrade for each case.
    async fn compare_each(
        &self,
        oracle: &Oracle,
        cases: &[&Case],
        findings: &[Finding],
        comparison: &mut Comparison,
    ) -> anyhow::Result<()> {
        for case in cases {
            let others: Vec<_> = cases.iter().copied().filter(|other| other.name != case.name).collect();
            let run = oracle.run_without(&others).await?;
            eprintln!("{self}: {}: pg_upgrade: {:?}", case.name, run.outcome);
            match compare(expected(case, self.pair), findings, &run) {
                Ok(line) => comparison.lines.push(format!("{}: {line}", case.name)),
                Err(mismatch) => comparison.mismatches.push(format!("{}: {mismatch}", case.name)),
            }
        }
        Ok(())
    }

    /// Proves the remedy: pgops upgrades the data that `pg_upgrade` by itself refuses.
    async fn ensure_pgops_upgrades(&self, ns: &Namespace) -> anyhow::Result<()> {
        ns.postgres("orders").version(self.pair.from).ready().await?;
        let upgrade = ns.upgrade("real").database("orders").to(self.pair.to).create().await?;
        upgrade.wait_successful().await.map(drop)
    }
}

async fn create(database: &Database, case: &Case, old: u32) -> anyhow::Result<()> {
    // The old version's server creates its own directories, and would fail on existing ones.
    let of_server = format!("/PG_{old}_");
    for directory in case.directories.iter().filter(|directory| !directory.contains(&of_server)) {
        let directory = format!("{}/{directory}", pgops_api::layout::VOLUME_ROOT);
        let pod = pgops_api::names::pod(database.name(), 0);
        let args = ["exec", &pod, "--", "mkdir", "-p", "-m", "700", &directory];
        database.namespace().kubectl(&args, None).await?.succeeded()?;
    }
    if let Some(create) = case.create() {
        database.sql("postgres", &create).await?;
    }
    run_script(database, case.database(), case.sql).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_unique_names_and_every_group_has_cases() {
        let mut names: Vec<_> = cases::ALL.iter().copied().flatten().map(|case| case.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
        for (from, to) in [("13.16", "17.11"), ("15.20", "18.6"), ("17.11", "18.6")] {
            let groups = groups(Pair { from, to });
            assert!(groups.iter().all(|group| !group.cases.is_empty()));
        }
    }
}

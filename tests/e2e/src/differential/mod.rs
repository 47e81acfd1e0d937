//! Our preflight beside the real `pg_upgrade`: both are asked about the same data, and what they say is compared.
//! We may be stricter, for a reason; never may we pass what `pg_upgrade` refuses.
//!
//! The cases of a pair share servers. All that should pass goes through one real upgrade; of the others each is
//! upgraded by itself, on a copy of the data from which the rest was taken away.

mod case;
mod cases;
mod findings;
mod oracle;
mod pair;

use std::fmt;

use serde_json::json;

use case::{Case, Expected};
pub use pair::Pair;

use crate::dataset::run_script;
use crate::{Cluster, DataSet, Database, Namespace};
use findings::Finding;
use oracle::{End, Oracle, Verdict};

/// What a comparison has shown.
#[derive(Debug, Default)]
pub struct Tally {
    /// A line for each case: what both said.
    pub lines: Vec<String>,
    /// Where something is not as it should be.
    pub complaints: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.complaints.extend(other.complaints);
    }
}

/// The cases of a pair that share a server.
pub struct Group {
    pair: Pair,
    name: String,
    /// Whole data sets that it has as well.
    sets: Vec<DataSet>,
    cases: Vec<&'static Case>,
}

/// All cases that can be made in the old version of a pair, as they share servers.
#[must_use]
pub fn groups(pair: Pair) -> Vec<Group> {
    let (old, new) = pair.majors();
    let here = cases::ALL.iter().copied().flatten().filter(|case| case.on.contains(&old));
    let (fine, refused): (Vec<_>, Vec<_>) =
        here.partition(|case| matches!(case.expected(old, new), Expected::Fine));
    let (alone, together): (Vec<_>, Vec<_>) = refused.into_iter().partition(|case| case.alone);
    let group = |name: &str, sets, cases| Group { pair, name: name.to_owned(), sets, cases };
    let whole = if old >= 15 { DataSet::Contrib } else { DataSet::Everything };
    let mut groups = vec![group("fine", vec![whole], fine), group("refused", vec![], together)];
    groups.extend(alone.into_iter().map(|case| group(case.name, vec![], vec![case])));
    groups
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}, {}", self.pair.from, self.pair.to, self.name)
    }
}

impl Group {
    /// Without the cases that are not wanted, each told as `13.16 to 17.11, refused: closed`; none if nothing is left.
    #[must_use]
    pub fn keep(mut self, wanted: impl Fn(&str) -> bool) -> Option<Self> {
        let place = self.to_string();
        self.cases.retain(|case| wanted(&format!("{place}: {}", case.name)));
        (!self.cases.is_empty()).then_some(self)
    }

    /// Asks both sides about all of its cases.
    pub async fn compare(&self, cluster: &Cluster) -> Tally {
        let mut tally = Tally::default();
        let compared = cluster
            .with_namespace(async |ns| {
                tally.add(self.compare_in(ns).await?);
                Ok(())
            })
            .await;
        tally.complaints.extend(compared.err().map(|error| format!("{error:#}")));
        let placed = |line: &String| format!("{self}: {line}");
        Tally {
            lines: tally.lines.iter().map(placed).collect(),
            complaints: tally.complaints.iter().map(placed).collect(),
        }
    }

    async fn compare_in(&self, ns: &Namespace) -> anyhow::Result<Tally> {
        let settings = "max_prepared_transactions = 10\nwal_level = logical\n";
        ns.secret("conf", "user.conf", settings).await?;
        let orders = ns.postgres("orders").version(self.pair.from);
        let orders = orders.field("configSecret", json!({"name": "conf"})).filled_with(&self.sets).await?;
        let (old, new) = self.pair.majors();
        let mut tally = Tally::default();
        let mut cases = Vec::new();
        for case in &self.cases {
            match make(&orders, case, old).await {
                Ok(()) => cases.push(*case),
                Err(error) => tally.complaints.push(format!("{} could not be made: {error:#}", case.name)),
            }
        }
        // What pg_upgrade says is worth knowing all the same.
        let findings = findings::ask(&orders, &self.pair).await.unwrap_or_else(|error| {
            tally.complaints.push(format!("{error:#}"));
            Vec::new()
        });
        let oracle = Oracle::start(&orders, &self.pair).await?;

        let is_fine = |case: &Case| matches!(case.expected(old, new), Expected::Fine);
        let refused: Vec<_> = cases.iter().copied().filter(|case| !is_fine(case)).collect();
        let claimed: Vec<_> = cases.iter().flat_map(|case| ours(case.expected(old, new))).collect();
        let unclaimed = findings.iter().filter(|finding| {
            // The restore of a database that has another finding fails as well.
            let follows = |case: &&Case| finding.text.starts_with(&format!("database \"{}\": ", case.name));
            let is_claimed = |(id, part): &(&str, &str)| finding.id == *id && finding.text.contains(part);
            !finding.is_note && !claimed.iter().any(|claim| is_claimed(claim)) && !refused.iter().any(follows)
        });
        tally.complaints.extend(unclaimed.map(|finding| format!("a finding about no case: {finding:?}")));
        if refused.is_empty() {
            let verdict = oracle.ask_without(&[]).await?;
            if verdict.end != End::Passed {
                tally.complaints.push(format!("pg_upgrade refuses what we pass: {}", verdict.said));
                return Ok(tally);
            }
            let names = cases.iter().map(|case| case.name.to_owned());
            let names = names.chain(self.sets.iter().map(|set| format!("{set:?}")));
            tally.lines.extend(names.map(|name| format!("{name}: both pass")));
            return Ok(tally);
        }
        for case in &cases {
            let others: Vec<_> = cases.iter().copied().filter(|other| other.name != case.name).collect();
            let verdict = oracle.ask_without(&others).await?;
            eprintln!("{self}: {}: pg_upgrade: {:?}", case.name, verdict.end);
            match judge(case.expected(old, new), &findings, &verdict) {
                Ok(line) => tally.lines.push(format!("{}: {line}", case.name)),
                Err(complaint) => tally.complaints.push(format!("{}: {complaint}", case.name)),
            }
        }
        if let [case] = cases[..]
            && let Expected::Remedied { .. } = case.expected(old, new)
        {
            // The proof that it is one: the data that pg_upgrade refuses by itself is upgraded by us.
            ns.postgres("orders").version(self.pair.from).ready().await?;
            ns.upgrade("earnest")
                .database("orders")
                .to(self.pair.to)
                .create()
                .await?
                .wait_successful()
                .await?;
        }
        Ok(tally)
    }
}

async fn make(database: &Database, case: &Case, old: u32) -> anyhow::Result<()> {
    // What belongs to the old version comes from its server, which finds it in its way otherwise.
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

fn ours(expected: Expected) -> &'static [(&'static str, &'static str)] {
    match expected {
        Expected::Fine | Expected::Remedied { .. } => &[],
        Expected::Refused { ours, .. } | Expected::Stricter { ours, .. } => ours,
    }
}

/// What both say about a case that should not pass, or what is wrong with it.
fn judge(expected: Expected, findings: &[Finding], verdict: &Verdict) -> Result<String, String> {
    let missing: Vec<_> = ours(expected)
        .iter()
        .filter(|(id, part)| !findings.iter().any(|found| found.id == *id && found.text.contains(part)))
        .collect();
    let ids: Vec<_> = ours(expected).iter().map(|(id, _)| *id).collect();
    let ids = ids.join(", ");
    match (expected, verdict.end) {
        _ if !missing.is_empty() && verdict.end != End::Passed => Err(format!(
            "we pass what pg_upgrade refuses; not found: {missing:?}; pg_upgrade says: {}",
            verdict.said
        )),
        _ if !missing.is_empty() => Err(format!("not found: {missing:?}")),
        (Expected::Refused { .. } | Expected::Fine, End::Passed) => {
            Err(format!("we refuse what pg_upgrade passes: {ids}"))
        }
        (Expected::Refused { theirs, .. }, end) if verdict.said.contains(theirs) => {
            let place = if end == End::Check { "its check" } else { "the upgrade itself" };
            Ok(format!("{ids}; pg_upgrade: {place}"))
        }
        (Expected::Remedied { .. }, End::Passed) => Err("pg_upgrade passes it without our help".to_owned()),
        (Expected::Remedied { theirs, by }, _) if verdict.said.contains(theirs) => {
            Ok(format!("pg_upgrade refuses, we pass it, since {by}"))
        }
        (Expected::Stricter { because, .. }, End::Passed) => {
            Ok(format!("{ids}; pg_upgrade passes, but {because}"))
        }
        _ => Err(format!("pg_upgrade refuses for another reason: {}", verdict.said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Expected = Expected::Refused { ours: &[("reg-type-column", "\"a\"")], theirs: "reg*" };

    fn verdict(end: End, said: &str) -> Verdict {
        Verdict { end, said: said.to_owned() }
    }

    fn found(id: &str) -> [Finding; 1] {
        [Finding { id: id.to_owned(), is_note: false, text: "t.f in \"a\"".to_owned() }]
    }

    #[test]
    fn a_refusal_of_both_for_the_same_reason_is_as_it_should_be() {
        assert!(judge(REFUSED, &found("reg-type-column"), &verdict(End::Check, "reg* types")).is_ok());
        let complaint = judge(REFUSED, &found("reg-type-column"), &verdict(End::Check, "no space left"));
        assert!(complaint.unwrap_err().contains("another reason"));
    }

    #[test]
    fn passing_what_pg_upgrade_refuses_is_never_as_it_should_be() {
        for expected in [REFUSED, Expected::Stricter { ours: &[("reg-type-column", "\"a\"")], because: "x" }]
        {
            let complaint = judge(expected, &found("other"), &verdict(End::Upgrade, "reg* types"));
            assert!(complaint.unwrap_err().contains("we pass what pg_upgrade refuses"));
        }
    }

    #[test]
    fn being_stricter_needs_a_reason() {
        let complaint = judge(REFUSED, &found("reg-type-column"), &verdict(End::Passed, ""));
        assert!(complaint.unwrap_err().contains("we refuse what pg_upgrade passes"));
    }

    #[test]
    fn names_are_unique_and_both_groups_of_each_pair_have_cases() {
        let mut names: Vec<_> = cases::ALL.iter().copied().flatten().map(|case| case.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
        for (from, to) in [("13.16", "17.11"), ("15.20", "18.6"), ("17.11", "18.6")] {
            let groups = groups(Pair { from, to });
            assert!(groups.iter().all(|group| !group.cases.is_empty()));
        }
    }
}

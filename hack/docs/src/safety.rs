//! The page on safety: rules, traps, and the tests that show each of them.

use std::fmt::Write;

use serde::Deserialize;

use crate::sources::Sources;

/// `docs/concepts/safety.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Safety {
    rules: Vec<Rule>,
    limits: Vec<String>,
    traps: Vec<Group>,
    not_handled: Vec<String>,
}

#[derive(Deserialize)]
struct Rule {
    title: String,
    text: String,
    #[serde(flatten)]
    proof: Proof,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    title: String,
    items: Vec<Trap>,
}

#[derive(Deserialize)]
struct Trap {
    #[serde(rename = "trap")]
    problem: String,
    remedy: String,
    #[serde(flatten)]
    proof: Proof,
}

/// Where the code is, and which tests show that it works.
#[derive(Deserialize)]
struct Proof {
    #[serde(default)]
    r#where: Vec<String>,
    #[serde(default)]
    unit: Vec<String>,
    #[serde(default)]
    e2e: Vec<String>,
    #[serde(default)]
    chaos: Vec<String>,
    #[serde(default)]
    compared: Vec<String>,
}

impl Safety {
    /// Everything that is named and does not exist, one entry each.
    pub fn missing(&self, sources: &Sources) -> Vec<String> {
        let rules = self.rules.iter().map(|rule| (&rule.title, &rule.proof));
        let traps = self.traps.iter().flat_map(|group| &group.items).map(|trap| (&trap.problem, &trap.proof));
        let mut missing = Vec::new();
        for (title, proof) in rules.chain(traps) {
            let paths = proof.r#where.iter().filter(|path| !sources.has_path(path));
            missing.extend(paths.map(|path| format!("file {path} ({title})")));
            let tests = proof.unit.iter().chain(&proof.e2e).chain(&proof.chaos);
            let lost = tests.filter(|test| !sources.has_test(test));
            missing.extend(lost.map(|test| format!("test {test} ({title})")));
            let lost = proof.compared.iter().filter(|name| !sources.has_data_set(name));
            missing.extend(lost.map(|name| format!("data set {name} ({title})")));
        }
        missing
    }

    /// The page, as Markdown.
    pub fn render(&self) -> String {
        let mut page = HEAD.to_owned();
        for (number, rule) in (1..).zip(&self.rules) {
            let _ = write!(page, "\n### {number}. {}\n\n{}\n\n", rule.title, rule.text);
            let _ =
                writeln!(page, "- code: {}\n- shown by: {}", code(&rule.proof.r#where), rule.proof.tests());
        }
        page += "\n### Where the rules end\n\n";
        for limit in &self.limits {
            let _ = writeln!(page, "- {limit}");
        }
        page += TRAPS;
        for group in &self.traps {
            let _ = write!(page, "\n### {}\n\n{TABLE}", group.title);
            for item in &group.items {
                let _ = writeln!(
                    page,
                    "| {} | {} | {} | {} |",
                    item.problem,
                    item.remedy,
                    code(&item.proof.r#where),
                    item.proof.tests()
                );
            }
        }
        page += "\n## Not handled yet\n\n";
        for gap in &self.not_handled {
            let _ = writeln!(page, "- {gap}");
        }
        page
    }
}

impl Proof {
    fn tests(&self) -> String {
        let kinds =
            [("", &self.unit), ("e2e ", &self.e2e), ("chaos ", &self.chaos), ("compared: ", &self.compared)];
        let parts: Vec<String> = kinds
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(kind, names)| format!("{kind}{}", code(names)))
            .collect();
        if parts.is_empty() { "–".to_owned() } else { parts.join("; ") }
    }
}

fn code(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

const HEAD: &str = "<!-- Generated from safety.yaml by `make generate`: edit that. -->
# Safety

What keeps the data safe, where it is in the code, and which test shows it. \"e2e\" and \"chaos\" are tests on a real cluster
(`tests/e2e/tests`), \"compared\" are data sets for which `make differential` runs pgops' preflight and the real `pg_upgrade`; the
others are unit tests in the file named or next to it. A dash means that no test singles it out: the e2e upgrades go through that
code anyway. [Fault injection](../development/fault-injection.md) describes how `make test-all` tries to lose data.

## Seven rules
";

const TRAPS: &str = "
## Traps of pg_upgrade that are handled

After every e2e upgrade rows, sequences, large objects, roles, grants, comments, settings and definitions are compared with those
before (`tests/sql/fingerprint`), every index must be valid, and after a major upgrade each B-tree index is verified against its
table.
";

const TABLE: &str = "| trap | what pgops does | code | shown by |\n|---|---|---|---|\n";

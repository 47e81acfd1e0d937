//! What exists in the checkout: files, pages of documentation, and names of tests.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use regex::Regex;
use walkdir::WalkDir;

/// Files and test names of a checkout.
pub struct Sources {
    checkout: PathBuf,
    pages: Vec<PathBuf>,
    tests: HashSet<String>,
    data_sets: HashSet<String>,
}

impl Sources {
    /// Lists the checkout and reads every Rust file.
    pub fn scan(checkout: &Path) -> anyhow::Result<Self> {
        // A test function follows its attribute, perhaps with others (`#[case]`) in between.
        let pattern = Regex::new(
            r"#\[(?:tokio::)?(?:test|rstest)\b[^\n]*\]\s*(?:#\[[^\n]*\n\s*|[^\n]*\n\s*)*?(?:async )?fn (\w+)",
        )?;
        let mut pages = Vec::new();
        // The name of a data set of the comparison with pg_upgrade is the first argument of its case.
        let case = Regex::new(r#"Case::\w+\(\s*"([^"]+)""#)?;
        let mut tests = HashSet::new();
        let mut data_sets = HashSet::new();
        let visible = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            name != "target" && (entry.depth() == 0 || !name.starts_with('.'))
        };
        for entry in WalkDir::new(checkout).into_iter().filter_entry(visible) {
            let entry = entry.context("failed to list the checkout")?;
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => {
                    let text = fs::read_to_string(path)
                        .with_context(|| format!("failed to read {}", path.display()))?;
                    tests.extend(pattern.captures_iter(&text).map(|found| found[1].to_owned()));
                    data_sets.extend(case.captures_iter(&text).map(|found| found[1].to_owned()));
                }
                Some("md") => pages.push(path.strip_prefix(checkout).unwrap_or(path).to_owned()),
                _ => {}
            }
        }
        Ok(Self { checkout: checkout.to_owned(), pages, tests, data_sets })
    }

    /// Every Markdown file, relative to the checkout.
    pub fn pages(&self) -> &[PathBuf] {
        &self.pages
    }

    /// Whether the checkout has this file or directory.
    pub fn has_path(&self, path: &str) -> bool {
        self.checkout.join(path).exists()
    }

    /// Whether a test has this name; `…` stands for any text.
    pub fn has_test(&self, name: &str) -> bool {
        contains(&self.tests, name)
    }

    /// Whether a data set of the comparison has this name; `…` stands for any text.
    pub fn has_data_set(&self, name: &str) -> bool {
        contains(&self.data_sets, name)
    }
}

fn contains(names: &HashSet<String>, pattern: &str) -> bool {
    match pattern.split_once('…') {
        None => names.contains(pattern),
        Some((start, end)) => names.iter().any(|name| name.starts_with(start) && name.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_know_plain_async_and_parametrised_tests() {
        let root = tempfile::tempdir().unwrap();
        let text = "#[test]\nfn plain() {}\n\n#[tokio::test]\nasync fn waits() {}\n\n#[rstest]\n#[case::a(1)]\n\
                    #[case::b(\n    2\n)]\nfn cases() {}\n\nfn helper() {}\n\n\
                    const C: Case = Case::passed(\n    \"a view\",\n);\n";
        fs::write(root.path().join("lib.rs"), text).unwrap();
        let sources = Sources::scan(root.path()).unwrap();
        for name in ["plain", "waits", "cases", "pl…in"] {
            assert!(sources.has_test(name), "{name}");
        }
        assert!(!sources.has_test("helper"));
        assert!(sources.has_data_set("a view") && !sources.has_data_set("another view"));
        assert!(sources.has_path("lib.rs") && !sources.has_path("main.rs"));
    }
}

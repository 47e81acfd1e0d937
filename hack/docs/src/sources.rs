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
}

impl Sources {
    /// Lists the checkout and reads every Rust file.
    pub fn scan(checkout: &Path) -> anyhow::Result<Self> {
        // A test function follows its attribute, perhaps with others (`#[case]`) in between.
        let pattern = Regex::new(
            r"#\[(?:tokio::)?(?:test|rstest)\b[^\n]*\]\s*(?:#\[[^\n]*\n\s*|[^\n]*\n\s*)*?(?:async )?fn (\w+)",
        )?;
        let mut pages = Vec::new();
        let mut tests = HashSet::new();
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
                }
                Some("md") => pages.push(path.strip_prefix(checkout).unwrap_or(path).to_owned()),
                _ => {}
            }
        }
        Ok(Self { checkout: checkout.to_owned(), pages, tests })
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
        match name.split_once('…') {
            None => self.tests.contains(name),
            Some((start, end)) => {
                self.tests.iter().any(|test| test.starts_with(start) && test.ends_with(end))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_know_plain_async_and_parametrised_tests() {
        let root = tempfile::tempdir().unwrap();
        let text = "#[test]\nfn plain() {}\n\n#[tokio::test]\nasync fn waits() {}\n\n#[rstest]\n#[case::a(1)]\n\
                    #[case::b(\n    2\n)]\nfn cases() {}\n\nfn helper() {}\n";
        fs::write(root.path().join("lib.rs"), text).unwrap();
        let sources = Sources::scan(root.path()).unwrap();
        for name in ["plain", "waits", "cases", "pl…in"] {
            assert!(sources.has_test(name), "{name}");
        }
        assert!(!sources.has_test("helper"));
        assert!(sources.has_path("lib.rs") && !sources.has_path("main.rs"));
    }
}

//! Links and paths in Markdown files that lead nowhere.

use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use regex::Regex;

/// Every relative link of the page that leads to no file, and every path in code quotes that starts in a top-level
/// directory and does not exist. `page` is relative to the checkout.
pub fn broken(checkout: &Path, page: &Path, text: &str) -> anyhow::Result<Vec<String>> {
    let fenced = Regex::new(r"(?s)```.*?```").context("failed to compile a pattern")?;
    let link = Regex::new(r"\]\(([^)#\s]+)(?:#[^)]*)?\)").context("failed to compile a pattern")?;
    let path = Regex::new(r"`([\w.-]+/[\w./-]+)`").context("failed to compile a pattern")?;
    let text = fenced.replace_all(text, "");
    let directory = page.parent().unwrap_or(Path::new(""));
    let mut broken = Vec::new();
    for found in link.captures_iter(&text) {
        let target = &found[1];
        if !target.contains("://") && !checkout.join(normalize(&directory.join(target))).exists() {
            broken.push(format!("{}: link to {target}", page.display()));
        }
    }
    for found in path.captures_iter(&text) {
        let target = Path::new(&found[1]);
        let starts_in_checkout =
            target.components().next().is_some_and(|first| checkout.join(first).is_dir());
        // Generated and local files are not in the checkout.
        if starts_in_checkout && !target.starts_with("target") && !checkout.join(target).exists() {
            broken.push(format!("{}: path {}", page.display(), target.display()));
        }
    }
    Ok(broken)
}

/// Every name of a test in code quotes: names of at least four words, which nothing else has.
pub fn tests(text: &str) -> anyhow::Result<Vec<String>> {
    let name = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`").context("failed to compile a pattern")?;
    Ok(name.captures_iter(text).map(|found| found[1].to_owned()).collect())
}

/// The path without `.` and `..`.
pub fn normalize(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normalized.pop();
            }
            Component::CurDir => {}
            other => normalized.push(other),
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_other_names() {
        let text = "| `COPY` | `pg_upgrade` | `one_server_at_a_time`, `track_commit_timestamp` | `a_b_c_d` and others |";
        assert_eq!(tests(text).unwrap(), ["one_server_at_a_time", "a_b_c_d"]);
    }

    #[test]
    fn references_are_broken_if_their_file_does_not_exist() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs/adr")).unwrap();
        std::fs::write(root.path().join("docs/a.md"), "").unwrap();
        let text = "[a](../a.md#x) [b](b.md) `docs/a.md` `docs/b.md` `other/b.md` [c](https://example.com/)\n\
                    ```\n[d](d.md)\n```\n";
        let found = broken(root.path(), Path::new("docs/adr/1.md"), text).unwrap();
        assert_eq!(found, ["docs/adr/1.md: link to b.md", "docs/adr/1.md: path docs/b.md"]);
    }
}

//! Links to sections of Markdown files that have no such section.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Context;
use regex::Regex;

use crate::references::normalize;

/// Every link of the page to a heading that its target does not have. `page` is relative to the checkout; links to files
/// that do not exist are found elsewhere.
pub fn broken(checkout: &Path, page: &Path, text: &str) -> anyhow::Result<Vec<String>> {
    let link = Regex::new(r"\]\(([^)#\s]*)#([^)\s]+)\)").context("failed to compile a pattern")?;
    let directory = page.parent().unwrap_or(Path::new(""));
    let text = without_code(text)?;
    let mut broken = Vec::new();
    for found in link.captures_iter(&text) {
        let (target, anchor) = (&found[1], &found[2]);
        let path = if target.is_empty() { page.to_owned() } else { normalize(&directory.join(target)) };
        let is_page = !target.contains("://") && path.extension().is_some_and(|extension| extension == "md");
        let Ok(page_text) = std::fs::read_to_string(checkout.join(&path)) else { continue };
        if is_page && !anchors(&page_text)?.contains(anchor) {
            broken.push(format!("{}: section {target}#{anchor}", page.display()));
        }
    }
    Ok(broken)
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> anyhow::Result<HashSet<String>> {
    let heading = Regex::new(r"(?m)^#+ +(.*)$").context("failed to compile a pattern")?;
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").context("failed to compile a pattern")?;
    let mut seen = HashMap::<String, u32>::new();
    let mut anchors = HashSet::new();
    for found in heading.captures_iter(&without_code(text)?) {
        let anchor: String = link
            .replace_all(&found[1], "$1")
            .to_lowercase()
            .chars()
            .filter_map(|char| match char {
                ' ' => Some('-'),
                '-' | '_' => Some(char),
                _ => char.is_alphanumeric().then_some(char),
            })
            .collect();
        let number = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *number == 0 { anchor } else { format!("{anchor}-{number}") });
        *number += 1;
    }
    Ok(anchors)
}

fn without_code(text: &str) -> anyhow::Result<String> {
    let fenced = Regex::new(r"(?s)```.*?```").context("failed to compile a pattern")?;
    Ok(fenced.replace_all(text, "").into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_made_as_on_github() {
        let text = "# Resume (`Stuck`, `JobFailed`)\n## A [linked](b.md) one\n## Again\n## Again\n```\n# code\n```\n";
        let expected = ["resume-stuck-jobfailed", "a-linked-one", "again", "again-1"];
        assert_eq!(anchors(text).unwrap(), expected.map(ToOwned::to_owned).into());
    }

    #[test]
    fn link_is_broken_if_its_page_has_no_such_heading() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs/adr")).unwrap();
        std::fs::write(root.path().join("docs/a.md"), "# First\n").unwrap();
        std::fs::write(root.path().join("docs/a.rs"), "").unwrap();
        let text = "# Own\n[a](../a.md#first) [b](../a.md#second) [c](#own) [d](#other) [e](../a.rs#L1) \
                    [f](https://example.com/a.md#x) [g](missing.md#x)\n";
        let page = Path::new("docs/adr/1.md");
        std::fs::write(root.path().join(page), text).unwrap();
        let found = broken(root.path(), page, text).unwrap();
        assert_eq!(found, ["docs/adr/1.md: section ../a.md#second", "docs/adr/1.md: section #other"]);
    }
}

//! Generates the parts of the documentation that have a source, and checks what the documentation refers to:
//! `pgops-docs CHECKOUT OUTPUT CHART RIGHTS` reads the checkout and writes each generated file below OUTPUT, under the same path.
//! CHART is the rendered chart, RIGHTS has the tables of a worker's rights.

mod anchors;
mod fields;
mod references;
mod rights;
mod safety;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use sources::Sources;

const SAFETY_PAGE: &str = "docs/concepts/safety.md";
/// Names tests next to what they show.
const THREAT_MODEL_PAGE: &str = "docs/concepts/threat-model.md";
const FIELDS_PAGE: &str = "docs/reference/fields.md";
const RIGHTS_PAGE: &str = "docs/reference/rights.md";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [checkout, output, chart, worker] = arguments.as_slice() else {
        bail!("usage: pgops-docs CHECKOUT OUTPUT CHART RIGHTS");
    };
    let sources = Sources::scan(checkout)?;
    check_references(checkout, &sources)?;
    check_tests(checkout, &sources)?;
    write(output, FIELDS_PAGE, &fields::page())?;
    write(output, RIGHTS_PAGE, &rights::page(&read(checkout, chart)?, &read(checkout, worker)?)?)?;
    write(output, SAFETY_PAGE, &safety(checkout, &sources)?)
}

/// Fails if a page links to a file or a section, or names a file, that does not exist.
fn check_references(checkout: &Path, sources: &Sources) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    // What the generated page names was checked in its source.
    for page in sources.pages().iter().filter(|page| *page != Path::new(SAFETY_PAGE)) {
        let text = read(checkout, page)?;
        broken.extend(references::broken(checkout, page, &text)?);
        broken.extend(anchors::broken(checkout, page, &text)?);
    }
    if !broken.is_empty() {
        bail!("the documentation refers to what does not exist:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

/// Fails if the threat model names a test that does not exist.
fn check_tests(checkout: &Path, sources: &Sources) -> anyhow::Result<()> {
    let text = read(checkout, Path::new(THREAT_MODEL_PAGE))?;
    let missing: Vec<_> =
        references::tests(&text)?.into_iter().filter(|test| !sources.has_test(test)).collect();
    if !missing.is_empty() {
        bail!("{THREAT_MODEL_PAGE} names tests that do not exist:\n  {}", missing.join("\n  "));
    }
    Ok(())
}

/// Renders `safety.yaml`; fails if it names a file or a test that does not exist.
fn safety(checkout: &Path, sources: &Sources) -> anyhow::Result<String> {
    let text = read(checkout, Path::new("docs/concepts/safety.yaml"))?;
    let safety: safety::Safety =
        serde_saphyr::from_str(&text).context("failed to parse docs/concepts/safety.yaml")?;
    let missing = safety.missing(sources);
    if !missing.is_empty() {
        bail!("docs/concepts/safety.yaml names what does not exist:\n  {}", missing.join("\n  "));
    }
    Ok(safety.render())
}

fn read(checkout: &Path, path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(checkout.join(path)).with_context(|| format!("failed to read {}", path.display()))
}

fn write(output: &Path, path: &str, text: &str) -> anyhow::Result<()> {
    let file = output.join(path);
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).with_context(|| format!("failed to create {}", directory.display()))?;
    }
    fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))
}

//! docs/admission.md shows what people see: every command in it is run, and prints what stands there.

use std::path::Path;

use anyhow::{Context, ensure};
use kube::Api;
use kube::api::DeleteParams;
use pgops_api::PostgresVersion;
use pgops_e2e::golden::{Document, Part};
use pgops_e2e::{Cluster, Namespace};
use regex::Regex;
use tokio::process::Command;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/admission.md");
/// The namespace that stands in the document for the test's own.
const NAMESPACE: &str = "demo";
/// The registry that stands in the document for the cluster's.
const REGISTRY: &str = "localhost";
/// The catalog entry that the document makes: entries have no namespace.
const ENTRY: &str = "17.11-house";

/// `UPDATE_GOLDEN=1` writes what is printed into the document instead of comparing.
#[tokio::test]
async fn documented_output_is_what_people_see() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let text = std::fs::read_to_string(DOCUMENT).with_context(|| format!("failed to read {DOCUMENT}"))?;
    let document = Document::parse(&text);
    ensure!(document.render() == text, "the document would not be written as it was read");
    let catalog = Api::<PostgresVersion>::all(cluster.client.clone());
    // Of an earlier run that was stopped.
    let _ = catalog.delete(ENTRY, &DeleteParams::default()).await;
    let result = cluster
        .with_namespace(async |ns| {
            let outputs = run(ns, &document).await?;
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                let text = document.with_outputs(outputs).render();
                return std::fs::write(DOCUMENT, text).with_context(|| format!("failed to write {DOCUMENT}"));
            }
            compare(&document, &outputs)
        })
        .await;
    let _ = catalog.delete(ENTRY, &DeleteParams::default()).await;
    result
}

/// Writes the files and runs the commands, in order; what each command prints, in the document's words.
async fn run(ns: &Namespace, document: &Document) -> anyhow::Result<Vec<String>> {
    let directory = tempfile::tempdir().context("failed to make a directory for the document's files")?;
    let words = Words::new(ns)?;
    let mut outputs = Vec::new();
    for part in document.parts() {
        match part {
            Part::Line(_) => {}
            Part::File { name, content } => {
                let path = directory.path().join(name);
                std::fs::write(&path, words.localize(content))
                    .with_context(|| format!("failed to write {}", path.display()))?;
            }
            Part::Command { line, .. } => {
                outputs.push(words.generalize(&shell(directory.path(), &words.localize(line)).await?));
            }
        }
    }
    Ok(outputs)
}

/// Both streams go where a terminal would show them, so that their order is the true one.
async fn shell(directory: &Path, command: &str) -> anyhow::Result<String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(directory).kill_on_drop(true);
    let output = shell.stdin(std::process::Stdio::null()).output().await;
    let output = output.with_context(|| format!("failed to run a shell for {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What differs between the document and a run.
struct Words {
    namespace: String,
    registry: String,
    placeholder: Regex,
    foreign: Regex,
}

impl Words {
    fn new(ns: &Namespace) -> anyhow::Result<Self> {
        Ok(Self {
            namespace: ns.name().to_owned(),
            registry: ns.cluster().registry.clone(),
            placeholder: Regex::new(&format!(r"\b{NAMESPACE}\b"))?,
            // Catalog entries of tests that run at the same time.
            foreign: Regex::new(r", e2e-[a-z0-9.-]*[a-z0-9]|\be2e-[a-z0-9.-]*[a-z0-9], ")?,
        })
    }

    fn localize(&self, text: &str) -> String {
        let text = text.replace(&format!("{REGISTRY}/"), &format!("{}/", self.registry));
        self.placeholder.replace_all(&text, self.namespace.as_str()).into_owned()
    }

    fn generalize(&self, output: &str) -> String {
        let output = output
            .replace(&self.namespace, NAMESPACE)
            .replace(&format!("{}/", self.registry), &format!("{REGISTRY}/"));
        let output = self.foreign.replace_all(&output, "");
        let end = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
        format!("{output}{end}")
    }
}

/// Names every difference: one run shows all that must be mended.
fn compare(document: &Document, outputs: &[String]) -> anyhow::Result<()> {
    let commands = document.parts().iter().filter_map(|part| match part {
        Part::Command { line, output } => Some((line, output)),
        Part::Line(_) | Part::File { .. } => None,
    });
    let different: Vec<String> = commands
        .zip(outputs)
        .filter(|((_, expected), printed)| expected != printed)
        .map(|((line, expected), printed)| {
            format!("$ {line}\n--- docs/admission.md shows\n{expected}--- kubectl printed\n{printed}")
        })
        .collect();
    ensure!(
        different.is_empty(),
        "docs/admission.md is out of date (UPDATE_GOLDEN=1 rewrites it):\n{}",
        different.join("\n")
    );
    Ok(())
}

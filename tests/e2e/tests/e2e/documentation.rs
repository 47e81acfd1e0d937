//! docs/reference/admission.md shows real output: every command in it is run, and must print what the document shows.

use std::path::Path;

use anyhow::{Context, ensure};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use pgops_api::PostgresOpsRequest;
use pgops_e2e::golden::{Document, Part};
use pgops_e2e::{Cluster, Namespace, UpgradeRequest};
use regex::Regex;
use tokio::process::Command;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/admission.md");
/// The namespace that the document shows instead of the test's.
const NAMESPACE: &str = "demo";
/// The registry that the document shows instead of the cluster's.
const REGISTRY: &str = "localhost";
/// The catalog entry that the document creates: entries are cluster-scoped.
const ENTRY: &str = "17.11-house";

/// `UPDATE_GOLDEN=1` writes the real output into the document instead of comparing.
#[tokio::test]
async fn documentation_matches_printed_output() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let text = std::fs::read_to_string(DOCUMENT).with_context(|| format!("failed to read {DOCUMENT}"))?;
    let document = Document::parse(&text);
    ensure!(document.render() == text, "the document is not rendered as it was parsed");
    cluster.require_catalog_of_tests(&[ENTRY]).await?;
    let catalog = cluster.catalog();
    // Left by an interrupted run.
    let _ = catalog.delete(ENTRY, &DeleteParams::default()).await;
    let result = cluster
        .with_namespace(async |ns| {
            let outputs = run(ns, &document).await?;
            wait_until_requests_end(ns).await?;
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

/// Writes the files and runs the commands, in order; returns the output of each command with the document's names.
async fn run(ns: &Namespace, document: &Document) -> anyhow::Result<Vec<String>> {
    let directory = tempfile::tempdir().context("failed to create a directory for the document's files")?;
    let names = Names::new(ns)?;
    let mut outputs = Vec::new();
    for part in document.parts() {
        match part {
            Part::Line(_) => {}
            Part::File { name, content } => {
                let path = directory.path().join(name);
                std::fs::write(&path, names.localize(content))
                    .with_context(|| format!("failed to write {}", path.display()))?;
            }
            Part::Command { line, .. } => {
                outputs.push(names.generalize(&shell(directory.path(), &names.localize(line)).await?));
            }
        }
    }
    Ok(outputs)
}

/// A namespace with a running worker takes minutes to disappear: its controller waits for half of the pod's grace period
/// before it looks again.
async fn wait_until_requests_end(ns: &Namespace) -> anyhow::Result<()> {
    for request in ns.api::<PostgresOpsRequest>().list(&ListParams::default()).await? {
        UpgradeRequest::new(ns.clone(), &request.name_any()).wait_ended().await?;
    }
    Ok(())
}

/// Both streams go to one pipe, as on a terminal, so that their order is preserved.
async fn shell(directory: &Path, command: &str) -> anyhow::Result<String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(directory).kill_on_drop(true);
    let output = shell.stdin(std::process::Stdio::null()).output().await;
    let output = output.with_context(|| format!("failed to run a shell for {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names that differ between the document and a run.
struct Names {
    namespace: String,
    registry: String,
    placeholder: Regex,
    foreign: Regex,
}

impl Names {
    fn new(ns: &Namespace) -> anyhow::Result<Self> {
        Ok(Self {
            namespace: ns.name().to_owned(),
            registry: ns.cluster().registry.clone(),
            placeholder: Regex::new(&format!(r"\b{NAMESPACE}\b"))?,
            // Catalog entries of concurrent tests.
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

/// Reports every difference: one run shows all that must be fixed.
fn compare(document: &Document, outputs: &[String]) -> anyhow::Result<()> {
    let commands = document.parts().iter().filter_map(|part| match part {
        Part::Command { line, output } => Some((line, output)),
        Part::Line(_) | Part::File { .. } => None,
    });
    let different: Vec<String> = commands
        .zip(outputs)
        .filter(|((_, expected), printed)| expected != printed)
        .map(|((line, expected), printed)| {
            format!(
                "$ {line}\n--- docs/reference/admission.md shows\n{expected}--- kubectl printed\n{printed}"
            )
        })
        .collect();
    ensure!(
        different.is_empty(),
        "docs/reference/admission.md is out of date (UPDATE_GOLDEN=1 rewrites it):\n{}",
        different.join("\n")
    );
    Ok(())
}

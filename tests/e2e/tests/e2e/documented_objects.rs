//! Every object that a page of documentation shows is one that the API server and admission accept, with fields that have an
//! effect.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use pgops_e2e::documented_object::DocumentedObject;
use pgops_e2e::{Namespace, with_namespace};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Some of its objects are denied: the test of that page applies them.
const ADMISSION_PAGE: &str = "docs/reference/admission.md";
/// Objects of programs that the test cluster does not have, and files of the API server.
const FOREIGN: [(&str, &str); 3] = [
    ("cert-manager.io/v1", "Issuer"),
    ("apiserver.config.k8s.io/v1", "AdmissionConfiguration"),
    ("v1", "Config"),
];
/// The namespace that the documentation shows.
const NAMESPACE: &str = "namespace: demo";
/// What is printed about a field that is not known, or that nothing reads.
const UNUSED_FIELD: [&str; 2] = ["has no effect", "unknown field"];

#[tokio::test]
async fn documented_objects_are_valid() -> anyhow::Result<()> {
    let objects = documented_objects()?;
    let (requests, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|(_, object)| object.kind == "PostgresOpsRequest");
    ensure!(requests.len() >= 5 && others.len() >= 5, "too few were found: {objects:?}");
    with_namespace(async |ns| {
        let mut problems = find_problems(ns, &others).await?;
        // Requests are judged by their database.
        ns.postgres("orders").version("13.16").ready().await?;
        problems.extend(find_problems(ns, &requests).await?);
        ensure!(
            problems.is_empty(),
            "the documentation shows what is not accepted:\n{}",
            problems.join("\n")
        );
        Ok(())
    })
    .await
}

/// What a dry run says about the objects; nothing is stored.
async fn find_problems(
    ns: &Namespace,
    objects: &[&(PathBuf, DocumentedObject)],
) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (page, object) in objects {
        let manifest = object.manifest.replace(NAMESPACE, &format!("namespace: {}", ns.name()));
        let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = ns.kubectl(&apply, Some(&manifest)).await?;
        if !output.success || UNUSED_FIELD.iter().any(|text| output.stderr.contains(text)) {
            problems.push(format!("{}:{}: {}", page.display(), object.line, output.stderr.trim()));
        }
    }
    Ok(problems)
}

/// The objects of all pages and examples, each with its file.
fn documented_objects() -> anyhow::Result<Vec<(PathBuf, DocumentedObject)>> {
    let root = Path::new(ROOT);
    let mut pages = files(&root.join("docs"), "md")?;
    pages.retain(|page| *page != root.join(ADMISSION_PAGE));
    let examples = files(&root.join("charts/pgops/examples"), "yaml")?;
    let mut objects = Vec::new();
    for file in pages.iter().chain(&examples) {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        let found = if examples.contains(file) {
            DocumentedObject::of_yaml(&text, 1)
        } else {
            DocumentedObject::of_page(&text)
        };
        let is_foreign =
            |it: &DocumentedObject| FOREIGN.contains(&(it.api_version.as_str(), it.kind.as_str()));
        let name = file.strip_prefix(root).unwrap_or(file);
        objects.extend(found.into_iter().filter(|it| !is_foreign(it)).map(|it| (name.to_owned(), it)));
    }
    Ok(objects)
}

/// The files below a directory with this extension.
fn files(directory: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(directory);
    for entry in entries.with_context(|| format!("failed to list {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

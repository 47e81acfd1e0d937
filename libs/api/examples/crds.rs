//! Writes the custom resource definitions as templates of a Helm chart, one file each:
//! `cargo run -p pgops-api --example crds -- charts/pgops-crds/templates`

use std::error::Error;
use std::path::PathBuf;

use serde_json::Value;

const HEADER: &str = "# Generated from the Rust types in libs/api/ by `make generate`: edit those.\n";

/// Deleting a definition deletes every object of its kind, so it is kept when the chart is removed: by Helm and Flux's
/// `HelmRelease`, by Argo CD, and by Flux's `Kustomization`.
const KEPT: [(&str, &str); 3] = [
    ("helm.sh/resource-policy", "keep"),
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("usage: crds DIRECTORY")?.into();
    for mut crd in pgops_api::crds::all() {
        crd.metadata.annotations =
            Some(KEPT.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect());
        let path = directory.join(format!("{}.yaml", crd.spec.names.plural));
        let mut value = serde_json::to_value(crd)?;
        drop_nulls(&mut value);
        let yaml = serde_saphyr::to_string(&value)?;
        std::fs::write(&path, format!("{HEADER}{}\n", literal(yaml.trim_end())))
            .map_err(|error| format!("failed to write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// The API server stores `default: null` and the like, which tools report as a difference.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Helm parses the file as a template, so braces in a description are escaped.
fn literal(yaml: &str) -> String {
    yaml.replace("{{", "{{ \"{{\" }}")
}

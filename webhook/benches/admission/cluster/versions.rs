//! The catalog: several builds of each minor release of each major version.

use serde_json::{Value, json};

use super::{CREATED, VERSIONS, managed, texts, uid};

/// Suffix of the name, distribution and base system of each build.
const BUILDS: [(&str, &str, &str); 10] = [
    ("", "Official", "debian"),
    ("-alpine", "Official", "alpine"),
    ("-bookworm", "Official", "bookworm"),
    ("-trixie", "Official", "trixie"),
    ("-gis", "PostGIS", "debian"),
    ("-gis-alpine", "PostGIS", "alpine"),
    ("-timescale", "TimescaleDB", "alpine"),
    ("-percona", "Percona", "bookworm"),
    ("-r2", "Official", "debian"),
    ("-r3", "Official", "debian"),
];

/// The whole catalog. It always contains the newest release.
pub fn versions() -> impl Iterator<Item = Value> {
    let releases = (10..=18).flat_map(|major| (1..=23).map(move |minor| (major, minor)));
    let others = releases.flat_map(|release| BUILDS.map(|build| (release, build)));
    let newest = BUILDS.map(|build| ((18, 23), build));
    others.take(VERSIONS - BUILDS.len()).chain(newest).map(|(release, build)| version(release, build))
}

fn version((major, minor): (u32, u32), (suffix, distribution, base_os): (&str, &str, &str)) -> Value {
    let number = format!("{major}.{minor}");
    let name = format!("{number}{suffix}");
    let labels = texts(&[
        ("app.kubernetes.io/instance", "pgops"),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("helm.sh/chart", "pgops-0.1.0"),
    ]);
    let annotations =
        texts(&[("meta.helm.sh/release-name", "pgops"), ("meta.helm.sh/release-namespace", "pgops-system")]);
    let spec = json!({
        "version": number,
        "distribution": distribution,
        "db": {"image": format!("registry.example.com/databases/postgres:{name}"), "baseOS": base_os},
        "exporter": {"image": "registry.example.com/databases/postgres-exporter:v0.15.0"},
        "initContainer": {"image": "registry.example.com/databases/postgres-init:0.17.0"},
        "securityContext": {"runAsUser": 999},
        "deprecated": major < 13,
        "endOfLife": major < 13,
        "updateConstraints": {
            "allowlist": [format!(">= {number}, < {}", (major + 5).min(19))],
            "denylist": ["14.0 - 14.3"],
        },
    });
    let parts = json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": spec});
    json!({
        "apiVersion": "catalog.kubedb.com/v1alpha1",
        "kind": "PostgresVersion",
        "metadata": {
            "name": name,
            "uid": uid("version", &name),
            "generation": 1,
            "resourceVersion": "81723",
            "creationTimestamp": CREATED,
            "labels": labels,
            "annotations": annotations,
            "managedFields": [managed("helm", &parts)],
        },
        "spec": spec,
    })
}

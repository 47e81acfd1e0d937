//! The objects of the cluster, as an API server stores them: with status, and with managedFields.

use serde_json::{Value, json};

/// Entries of the catalog.
pub const VERSIONS: usize = 2_000;
/// Databases.
pub const DATABASES: usize = 5_000;
/// Requests, which are done.
pub const REQUESTS: usize = 500;

/// What most databases have.
pub const CURRENT: &str = "13.16";
/// Where a typical request leads.
pub const NEXT_MAJOR: &str = "17.11";
/// The end of the catalog.
pub const NEWEST: &str = "18.23";
/// A database of the oldest version, which must go in steps.
pub const OLD_DATABASE: &str = "archive";

const OLDEST: &str = "10.1";
/// Every database is in this one: requests name databases of their own namespace.
const NAMESPACE: &str = "team-orders";
const CREATED: &str = "2026-03-14T09:26:53Z";

/// Name of the database of that number.
pub fn database_name(number: usize) -> String {
    format!("orders-{number:04}")
}

/// The whole catalog: each minor release, in some builds.
pub fn versions() -> impl Iterator<Item = Value> {
    let builds = [
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
    let releases = (10..=18).flat_map(|major| (1..=23).map(move |minor| (major, minor)));
    let all = releases.flat_map(move |release| builds.map(|build| (release, build)));
    all.take(VERSIONS - 10).chain(builds.map(|build| ((18, 23), build))).map(
        |((major, minor), (suffix, distribution, base_os))| {
            version(major, minor, suffix, distribution, base_os)
        },
    )
}

fn version(major: u32, minor: u32, suffix: &str, distribution: &str, base_os: &str) -> Value {
    let number = format!("{major}.{minor}");
    let name = format!("{number}{suffix}");
    json!({
        "apiVersion": "catalog.kubedb.com/v1alpha1",
        "kind": "PostgresVersion",
        "metadata": {
            "name": name,
            "uid": uid("version", &name),
            "generation": 1,
            "resourceVersion": "81723",
            "creationTimestamp": CREATED,
            "labels": {"app.kubernetes.io/instance": "pgops", "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "pgops-0.1.0"},
            "annotations": {"meta.helm.sh/release-name": "pgops", "meta.helm.sh/release-namespace": "pgops-system"},
            "managedFields": [managed("helm", "Update", &json!({
                "f:metadata": {"f:annotations": {".": {}, "f:meta.helm.sh/release-name": {}, "f:meta.helm.sh/release-namespace": {}}, "f:labels": {".": {}, "f:app.kubernetes.io/instance": {}, "f:app.kubernetes.io/managed-by": {}, "f:helm.sh/chart": {}}},
                "f:spec": {".": {}, "f:db": {".": {}, "f:baseOS": {}, "f:image": {}}, "f:distribution": {}, "f:exporter": {".": {}, "f:image": {}}, "f:initContainer": {".": {}, "f:image": {}}, "f:securityContext": {".": {}, "f:runAsUser": {}}, "f:updateConstraints": {".": {}, "f:allowlist": {}, "f:denylist": {}}, "f:version": {}},
            }))],
        },
        "spec": {
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
        },
    })
}

/// All databases: most of one version, one of the oldest.
pub fn databases() -> impl Iterator<Item = Value> {
    let others = ["14.12", "15.8", "16.4-alpine", "17.5-bookworm"];
    let usual = (0..DATABASES - 1).map(move |number| {
        let version = if number % 4 == 3 { CURRENT } else { others[number % others.len()] };
        database(database_name(number), version)
    });
    usual.chain([database(OLD_DATABASE, OLDEST)])
}

/// A database that serves.
pub fn database(name: impl Into<String>, version: &str) -> Value {
    let name = name.into();
    let condition = |type_: &str, reason: &str, message: &str| json!({"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": CREATED, "observedGeneration": 1});
    json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid("database", &name),
            "generation": 2,
            "resourceVersion": "98317",
            "creationTimestamp": CREATED,
            "finalizers": ["kubedb.com/postgres"],
            "labels": {"app.kubernetes.io/part-of": "orders", "team": "orders"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json!({
                "apiVersion": "kubedb.com/v1", "kind": "Postgres", "metadata": {"annotations": {}, "name": name, "namespace": NAMESPACE},
                "spec": {"version": version, "storageType": "Durable", "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}, "deletionPolicy": "Halt"},
            }).to_string()},
            "managedFields": [
                managed("kubectl-client-side-apply", "Update", &json!({
                    "f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}, "f:labels": {".": {}, "f:app.kubernetes.io/part-of": {}, "f:team": {}}},
                    "f:spec": {".": {}, "f:deletionPolicy": {}, "f:podTemplate": {".": {}, "f:spec": {".": {}, "f:containers": {}}}, "f:storage": {".": {}, "f:accessModes": {}, "f:resources": {".": {}, "f:requests": {".": {}, "f:storage": {}}}}, "f:storageType": {}, "f:version": {}},
                })),
                managed("pgops-provisioner", "Apply", &json!({
                    "f:metadata": {"f:finalizers": {".": {}, "v:\"kubedb.com/postgres\"": {}}},
                    "f:status": {"f:conditions": {"k:{\"type\":\"AcceptingConnection\"}": {".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:reason": {}, "f:status": {}}, "k:{\"type\":\"Ready\"}": {".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:reason": {}, "f:status": {}}}, "f:observedGeneration": {}, "f:phase": {}},
                })),
            ],
        },
        "spec": {
            "version": version,
            "replicas": 1,
            "storageType": "Durable",
            "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
            "authSecret": {"name": format!("{name}-auth")},
            "clientAuthMode": "scram",
            "deletionPolicy": "Halt",
            "podTemplate": {"spec": {"containers": [{
                "name": "postgres",
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                "env": [{"name": "POSTGRES_INITDB_ARGS", "value": "--locale=en_US.UTF-8 --encoding=UTF8"}],
            }]}},
        },
        "status": {
            "phase": "Ready",
            "observedGeneration": 2,
            "conditions": [
                condition("ProvisioningStarted", "DatabaseProvisioningStartedSuccessfully", "the objects of the database are there"),
                condition("ReplicaReady", "AllReplicasReady", "its pod is ready"),
                condition("AcceptingConnection", "DatabaseAcceptingConnectionRequest", "the server answers"),
                condition("Ready", "ReadinessCheckSucceeded", "the database is ready"),
                condition("Provisioned", "DatabaseSuccessfullyProvisioned", "the database was provisioned"),
            ],
        },
    })
}

/// All requests: each is done.
pub fn requests() -> impl Iterator<Item = Value> {
    (0..REQUESTS).map(|number| {
        let mut request = applied_request(database_name(number), CURRENT);
        request["metadata"]["name"] = json!(format!("orders-{number:04}-to-13-16"));
        let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": type_, "message": "done", "lastTransitionTime": CREATED, "observedGeneration": 1});
        let steps = ["CopiedOldBinaries", "Preflight", "PauseDatabase", "StopDatabase", "UpdateStatefulSetImage", "StartDatabase", "ResumeDatabase", "Successful"];
        request["status"] = json!({
            "phase": "Successful",
            "observedGeneration": 1,
            "from": "13.12",
            "outage": "3.1s",
            "conditions": steps.map(condition),
        });
        request
    })
}

/// A request as the API server has it after `kubectl apply`.
pub fn applied_request(database: impl Into<String>, target: &str) -> Value {
    let database = database.into();
    let name = format!("{database}-to-{}", target.replace('.', "-"));
    let spec = json!({
        "type": "UpdateVersion",
        "databaseRef": {"name": database},
        "updateVersion": {"targetVersion": target},
        "timeout": "30m",
        "apply": "IfReady",
        "maxRetries": 1,
    });
    let applied = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
        "metadata": {"annotations": {}, "labels": {"team": "orders"}, "name": name, "namespace": NAMESPACE}, "spec": spec,
    });
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PostgresOpsRequest",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid("request", &name),
            "generation": 1,
            "creationTimestamp": CREATED,
            "labels": {"team": "orders"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string() + "\n"},
            "managedFields": [managed("kubectl-client-side-apply", "Update", &json!({
                "f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}, "f:labels": {".": {}, "f:team": {}}},
                "f:spec": {".": {}, "f:apply": {}, "f:databaseRef": {".": {}, "f:name": {}}, "f:maxRetries": {}, "f:timeout": {}, "f:type": {}, "f:updateVersion": {".": {}, "f:targetVersion": {}}},
            }))],
        },
        "spec": spec,
    })
}

fn managed(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": CREATED, "fieldsType": "FieldsV1", "fieldsV1": fields})
}

/// Any uid will do that is of the right length and differs from others.
fn uid(kind: &str, name: &str) -> String {
    let hash = kind.bytes().chain(name.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-5b0d-4f7e-9a6c-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff)
}

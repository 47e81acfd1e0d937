//! A pod with the programs of two versions, to run `pg_upgrade` without pgops.
//!
//! No image contains both versions. The old programs are staged as in a worker, which is all that pgops contributes.

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::{PgVersion, PostgresVersion, layout};
use serde_json::{Value, json};

use crate::database::Database;

/// Shell function `strip_options`, which removes catalog entries that no manual upgrade would survive.
pub const STRIP_OPTIONS: &str = include_str!("strip_options.sh");

/// The versions whose programs the pod has.
pub struct DualVersionPod {
    from: PostgresVersion,
    to: PostgresVersion,
    registry: String,
}

impl DualVersionPod {
    /// Looks up the versions by their names in the catalog.
    pub async fn new(database: &Database, from: &str, to: &str) -> anyhow::Result<Self> {
        let cluster = database.namespace().cluster();
        Ok(Self {
            from: cluster.catalog_entry(from).await?,
            to: cluster.catalog_entry(to).await?,
            registry: cluster.registry.clone(),
        })
    }

    /// Possible directories of the old programs in the old image; in the pod they are below [`layout::OLD_DIR`].
    pub fn old_bindirs(&self) -> anyhow::Result<Vec<String>> {
        bindirs(&self.from)
    }

    /// Possible directories of the new programs.
    pub fn new_bindirs(&self) -> anyhow::Result<Vec<String>> {
        bindirs(&self.to)
    }

    /// A container of the old image; `rest` holds its command and other fields.
    #[must_use]
    pub fn old_container(&self, name: &str, rest: Value) -> Value {
        container(name, &self.from.spec.db.image, rest)
    }

    /// A pod that runs the `main` container once the programs of both versions are in place and the containers
    /// `before` have ended; all of them mount the `volumes`, each at its path.
    pub fn build(
        &self,
        name: &str,
        before: Vec<Value>,
        main: Value,
        volumes: &[(Value, &str)],
    ) -> anyhow::Result<Pod> {
        let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
        let tools = mount("tools", "/pgops");
        let passwd =
            json!({"name": "tools", "mountPath": "/etc/passwd", "subPath": "etc/passwd", "readOnly": true});
        let shared = volumes.iter().map(|(volume, path)| json!({"name": volume["name"], "mountPath": path}));
        let mounts: Vec<_> =
            [tools.clone(), mount("tmp", "/tmp"), passwd].into_iter().chain(shared).collect();
        let with_mounts = |mut container: Value| {
            container["volumeMounts"] = json!(mounts);
            container
        };
        let install = self.install_container(&tools);
        let stage = self.stage_container()?;
        let before = [stage].into_iter().chain(before).map(with_mounts);
        let before: Vec<_> = [install].into_iter().chain(before).collect();
        let main = with_mounts(container(name, &self.to.spec.db.image, main));
        let own = ["tools", "tmp"].map(|name| json!({"name": name, "emptyDir": {}}));
        let volumes: Vec<_> =
            own.into_iter().chain(volumes.iter().map(|(volume, _)| volume.clone())).collect();
        let user = self.from.spec.run_as_user();
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 2,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": user, "runAsGroup": user,
                    "fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch",
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "initContainers": before,
                "containers": [main],
                "volumes": volumes,
            },
        }))
        .context("failed to build a pod")
    }

    /// Copies `pgops-runner` into the pod, and a `passwd` file with its user.
    fn install_container(&self, tools: &Value) -> Value {
        let passwd_file = format!("{}/passwd", layout::PASSWD_DIR);
        let install = json!({
            "args": ["install", "--to", layout::TOOLS_DIR, "--passwd", passwd_file], "volumeMounts": [tools],
        });
        container("install", &format!("{}/pgops-runner:latest", self.registry), install)
    }

    /// Stages the old programs.
    fn stage_container(&self) -> anyhow::Result<Value> {
        let program = format!("{}/pgops-runner", layout::TOOLS_DIR);
        let old = self.from.spec.version.parse::<PgVersion>()?.major.to_string();
        let command = json!([program, "stage", "--to", layout::OLD_DIR, "--major", old]);
        Ok(self.old_container("stage", json!({"command": command})))
    }
}

fn bindirs(version: &PostgresVersion) -> anyhow::Result<Vec<String>> {
    let major = version.spec.version.parse::<PgVersion>()?.major;
    Ok(layout::bindir_candidates(major, None).iter().map(|path| path.display().to_string()).collect())
}

/// With what the pod security standard of the tests' namespaces requires of each container.
fn container(name: &str, image: &str, rest: Value) -> Value {
    let mut container = json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        // Those of a worker: without requests, the kernel would give it only what others leave.
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    if let (Value::Object(all), Value::Object(rest)) = (&mut container, rest) {
        all.extend(rest);
    }
    container
}

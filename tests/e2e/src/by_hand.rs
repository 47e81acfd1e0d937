//! An upgrade by hand, beside pgops: a pod of the target's image with the old version's programs, in which a
//! script may do to a database's data whatever a person could.
//!
//! No image has both versions. Of pgops only the staging of the old programs takes part, as for a worker.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use pgops_api::{PgVersion, PostgresVersion, layout, names};
use serde_json::{Value, json};

use crate::aftermath::catalog;
use crate::{Database, Namespace, Output, wait_for};

const POD: &str = "by-hand";
/// Where the stopped database's volume is, for reading.
const SOURCE: &str = "/source";
/// The images may have to be unpacked, and the old programs are staged.
const LONGEST: Duration = Duration::from_mins(3);

/// Defines `strip_options`, which takes out of a server what no upgrade by hand would get past.
pub const STRIP_OPTIONS: &str = include_str!("strip_options.sh");

/// The versions that a pod has the programs of.
pub struct Versions {
    from: PostgresVersion,
    to: PostgresVersion,
    registry: String,
}

impl Versions {
    /// By their names in the catalog.
    pub async fn of(database: &Database, from: &str, to: &str) -> anyhow::Result<Self> {
        Ok(Self {
            from: catalog(database, from).await?,
            to: catalog(database, to).await?,
            registry: database.namespace().cluster().registry.clone(),
        })
    }

    /// Where the old programs may be in the old image; in the pod they are below [`layout::OLD_DIR`].
    pub fn old_bindirs(&self) -> anyhow::Result<Vec<String>> {
        bindirs(&self.from)
    }

    /// Where the new programs may be.
    pub fn new_bindirs(&self) -> anyhow::Result<Vec<String>> {
        bindirs(&self.to)
    }

    /// A container of the old image, of which its command and more is given.
    pub fn old_container(&self, name: &str, rest: Value) -> Value {
        container(name, &self.from.spec.db.image, rest)
    }

    /// A pod in which `command` runs once both are there and `before` has ended; all of them see the `volumes`, each
    /// with the path of its mount.
    pub fn pod(
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

        let passwd_file = format!("{}/passwd", layout::PASSWD_DIR);
        let install = json!({
            "args": ["install", "--to", layout::TOOLS_DIR, "--passwd", passwd_file], "volumeMounts": [tools],
        });
        let install = container("install", &format!("{}/pgops-runner:latest", self.registry), install);
        let program = format!("{}/pgops-runner", layout::TOOLS_DIR);
        let old = self.from.spec.version.parse::<PgVersion>()?.major.to_string();
        let stage = self.old_container(
            "stage",
            json!({"command": [program, "stage", "--to", layout::OLD_DIR, "--major", old]}),
        );
        let with_mounts = |mut container: Value| {
            container["volumeMounts"] = json!(mounts);
            container
        };
        let before = [stage].into_iter().chain(before).map(with_mounts);
        let before: Vec<_> = [install].into_iter().chain(before).collect();
        let main = with_mounts(container(name, &self.to.spec.db.image, main));
        let own = ["tools", "tmp"].map(|name| json!({"name": name, "emptyDir": {}}));
        let volumes: Vec<_> =
            own.into_iter().chain(volumes.iter().map(|(volume, _)| volume.clone())).collect();
        let user = self.from.spec.run_as_user();
        Ok(serde_json::from_value(json!({
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
        }))?)
    }
}

fn bindirs(version: &PostgresVersion) -> anyhow::Result<Vec<String>> {
    let major = version.spec.version.parse::<PgVersion>()?.major;
    Ok(layout::bindir_candidates(major).iter().map(|path| path.display().to_string()).collect())
}

/// With what the namespaces of the tests demand of each container.
fn container(name: &str, image: &str, rest: Value) -> Value {
    let mut container = json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        // Those of a worker: without any, the kernel would give it what others leave.
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    if let (Value::Object(all), Value::Object(rest)) = (&mut container, rest) {
        all.extend(rest);
    }
    container
}

/// The pod. It has room for a copy where the database's volume is otherwise, so that absolute paths hold.
pub struct ByHand {
    ns: Namespace,
}

impl ByHand {
    /// Starts it for a database that was halted; `from` and `to` are names of the catalog.
    pub async fn start(database: &Database, from: &str, to: &str) -> anyhow::Result<Self> {
        let ns = database.namespace();
        let claim = names::claim(database.name(), 0);
        let volumes = [
            (json!({"name": "copy", "emptyDir": {}}), layout::VOLUME_ROOT),
            (
                json!({"name": "source", "persistentVolumeClaim": {"claimName": claim, "readOnly": true}}),
                SOURCE,
            ),
        ];
        // The shell reaps what servers leave behind.
        let command = ["/bin/bash", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"];
        let versions = Versions::of(database, from, to).await?;
        let pod = versions.pod(POD, vec![], json!({"command": command}), &volumes)?;
        let pods: Api<Pod> = ns.api();
        pods.create(&PostParams::default(), &pod).await.context("failed to create the pod")?;
        let phase = |pod: Option<&Pod>| pod?.status.as_ref()?.phase.clone();
        let settled = |pod: Option<&Pod>| phase(pod).is_some_and(|phase| phase != "Pending");
        let found = wait_for(&pods, POD, "a phase other than Pending", LONGEST, settled).await?;
        let phase = phase(found.as_ref()).unwrap_or_default();
        ensure!(phase == "Running", "pod {POD} is {phase}");
        Ok(Self { ns: ns.clone() })
    }

    /// Runs a script of bash in it.
    pub async fn bash(&self, script: &str) -> anyhow::Result<Output> {
        self.ns.kubectl(&["exec", "--stdin", POD, "--", "/bin/bash", "-s"], Some(script)).await
    }
}

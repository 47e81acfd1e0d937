//! An upgrade by hand, beside pgops: a pod of the target's image with the old version's programs, in which a
//! script may do to a copy of a stopped database whatever a person could.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use pgops_api::{PgVersion, layout, names};
use serde_json::{Value, json};

use crate::aftermath::catalog;
use crate::{Database, Namespace, Output, wait_for};

const POD: &str = "by-hand";
/// Where the stopped database's volume is, for reading.
const SOURCE: &str = "/source";
/// The images may have to be unpacked, and the old programs are staged.
const LONGEST: Duration = Duration::from_mins(3);

/// The pod. It has room for a copy where the database's volume is otherwise, so that absolute paths hold.
pub struct ByHand {
    ns: Namespace,
}

impl ByHand {
    /// Starts it for a database that was halted; `from` and `to` are names of the catalog.
    ///
    /// Of pgops only the staging of the old programs takes part.
    pub async fn start(database: &Database, from: &str, to: &str) -> anyhow::Result<Self> {
        let ns = database.namespace();
        let (from, to) = (catalog(database, from).await?, catalog(database, to).await?);
        let old: PgVersion = from.spec.version.parse()?;
        let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
        let tools = mount("tools", "/pgops");
        let passwd =
            json!({"name": "tools", "mountPath": "/etc/passwd", "subPath": "etc/passwd", "readOnly": true});
        let runner = format!("{}/pgops-runner:latest", ns.cluster().registry);
        let passwd_file = format!("{}/passwd", layout::PASSWD_DIR);
        let install = json!({
            "name": "install", "image": runner, "volumeMounts": [tools],
            "args": ["install", "--to", layout::TOOLS_DIR, "--passwd", passwd_file],
        });
        let program = format!("{}/pgops-runner", layout::TOOLS_DIR);
        let stage = json!({
            "name": "stage", "image": from.spec.db.image, "volumeMounts": [tools, mount("tmp", "/tmp"), passwd],
            "command": [program, "stage", "--to", layout::OLD_DIR, "--major", old.major.to_string()],
        });
        let source = json!({"name": "source", "mountPath": SOURCE, "readOnly": true});
        let hands = json!({
            "name": POD, "image": to.spec.db.image,
            // The shell reaps what servers leave behind.
            "command": ["/bin/bash", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"],
            "volumeMounts": [tools, mount("tmp", "/tmp"), mount("copy", layout::VOLUME_ROOT), passwd, source],
        });
        let user = from.spec.security_context.run_as_user;
        let claim = names::claim(database.name(), 0);
        let pod = serde_json::from_value(json!({
            "metadata": {"name": POD},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 2,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": user, "runAsGroup": user,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "initContainers": [restricted(install), restricted(stage)],
                "containers": [restricted(hands)],
                "volumes": [
                    {"name": "tools", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}, {"name": "copy", "emptyDir": {}},
                    {"name": "source", "persistentVolumeClaim": {"claimName": claim}},
                ],
            },
        }))?;
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

/// What the namespaces of the tests demand of each container.
fn restricted(mut container: Value) -> Value {
    container["imagePullPolicy"] = json!("IfNotPresent");
    container["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    container
}

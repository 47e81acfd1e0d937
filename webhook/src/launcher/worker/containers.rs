//! The containers of a worker's pod: `install` copies pgops-runner, `stage` the old version's programs, and
//! `runner` executes the plan in the image of the new version.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceRequirements, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pgops_api::layout;
use pgops_api::plan::{NODE_VARIABLE, PLAN_VARIABLE, UpgradeKind};

use super::volumes::{passwd_mount, tmp_mount, tools_mount};
use super::{CONTAINER_RUNNER, Worker};

/// Environment variable with the database's `clientAuthMode`.
const CLIENT_AUTH_MODE_VARIABLE: &str = "PGOPS_CLIENT_AUTH_MODE";
/// The program, once `install` has copied it to where every image can run it.
const RUNNER: &str = "/pgops/bin/pgops-runner";

impl Worker {
    /// Stages the old version's programs, from its own image.
    pub(super) fn stage(&self) -> Option<Container> {
        let major = self.plan.from.pg_version().ok().filter(|_| self.kind == UpgradeKind::Major)?.major;
        Some(Container {
            image: Some(self.plan.from.image.clone()),
            command: Some(
                [RUNNER, "stage", "--to", layout::OLD_DIR, "--major", &major.to_string()]
                    .map(Into::into)
                    .into(),
            ),
            volume_mounts: Some(vec![tools_mount(), tmp_mount(), passwd_mount()]),
            ..container("stage")
        })
    }

    pub(super) fn runner(&self) -> serde_json::Result<Container> {
        let auth_mode = match self.client_auth_mode {
            Some(mode) => serde_json::to_value(mode)?.as_str().map(ToOwned::to_owned),
            None => None,
        };
        let mut variables = vec![
            value_variable(PLAN_VARIABLE, serde_json::to_string(&self.plan)?),
            field_variable("POD_NAME", "metadata.name"),
            field_variable(NODE_VARIABLE, "spec.nodeName"),
        ];
        variables.extend(auth_mode.map(|mode| value_variable(CLIENT_AUTH_MODE_VARIABLE, mode)));
        Ok(Container {
            image: Some(self.plan.to.image.clone()),
            command: Some([RUNNER, "upgrade"].map(Into::into).into()),
            env: Some(variables),
            volume_mounts: Some(self.runner_mounts()),
            ..container(CONTAINER_RUNNER)
        })
    }
}

/// Copies the program, and a passwd file in which the pod's user has a name.
pub(super) fn install(image: &str) -> Container {
    let passwd = format!("{}/passwd", layout::PASSWD_DIR);
    Container {
        image: Some(image.to_owned()),
        args: Some(["install", "--to", layout::TOOLS_DIR, "--passwd", &passwd].map(Into::into).into()),
        volume_mounts: Some(vec![tools_mount()]),
        ..container("install")
    }
}

/// What all containers have in common.
fn container(name: &str) -> Container {
    let quantity = |(name, quantity): (&str, &str)| (name.to_owned(), Quantity(quantity.to_owned()));
    Container {
        name: name.to_owned(),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(ResourceRequirements {
            requests: Some([("cpu", "100m"), ("memory", "256Mi")].map(quantity).into()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn value_variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

/// A variable with the value of a field of the pod.
fn field_variable(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: None, field_path: path.to_owned() }),
            ..EnvVarSource::default()
        }),
    }
}

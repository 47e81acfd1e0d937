//! The containers of a worker's pod. `install` copies pgops-runner, `stage` the old version's programs. `programs` and
//! `rehearsal` run `PostgreSQL`'s programs in the image of the new version, at the order of `runner`: it executes the plan,
//! has all rights and secrets, and runs no program but its own.
//!
//! `programs` and `rehearsal` are sidecars: they run before `runner` starts, and the kubelet ends them after it.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceRequirements, SecurityContext,
};
use pgops_api::plan::{NODE_VARIABLE, PLAN_VARIABLE, UpgradeKind};
use pgops_api::{layout, names};

use super::volumes::{install_mounts, rehearsal_mounts, stage_mounts};
use super::{CONTAINER_STAGE, Worker};
use crate::launcher::options::WorkerOptions;

/// The program, once `install` has copied it to where every image can run it.
const RUNNER: &str = "/pgops/bin/pgops-runner";

impl Worker {
    /// Stages the old version's programs, from its own image.
    pub(super) fn stage(&self, options: &WorkerOptions) -> Option<Container> {
        let major = self.plan.from.pg_version().ok().filter(|_| self.kind == UpgradeKind::Major)?.major;
        Some(Container {
            image: Some(self.plan.from.image.clone()),
            command: Some(
                [RUNNER, "stage", "--to", layout::OLD_DIR, "--major", &major.to_string()]
                    .map(Into::into)
                    .into(),
            ),
            volume_mounts: Some(stage_mounts()),
            ..container(CONTAINER_STAGE, options.copy_resources.clone().into())
        })
    }

    /// Runs programs on the volume.
    pub(super) fn programs(&self, options: &WorkerOptions) -> Container {
        let resources = self.programs_resources(options);
        Container {
            volume_mounts: Some(self.programs_mounts()),
            ..self.agent(names::CONTAINER_PROGRAMS, layout::PROGRAMS_DIR, resources)
        }
    }

    /// Runs the scratch server, where the definitions of users are restored.
    pub(super) fn rehearsal(&self, options: &WorkerOptions) -> Option<Container> {
        if self.kind == UpgradeKind::Minor {
            return None;
        }
        let resources = self.rehearsal_resources(options);
        Some(Container {
            volume_mounts: Some(rehearsal_mounts()),
            ..self.agent(names::CONTAINER_REHEARSAL, layout::REHEARSAL_DIR, resources)
        })
    }

    /// An agent in the target's image.
    fn agent(&self, name: &str, directory: &str, resources: ResourceRequirements) -> Container {
        let socket = format!("{directory}/{}", layout::AGENT_SOCKET);
        Container {
            image: Some(self.plan.to.image.clone()),
            command: Some([RUNNER, "agent", "--socket", &socket].map(Into::into).into()),
            // Its output may have rows of users.
            termination_message_policy: Some("File".to_owned()),
            // A sidecar: it is started again if it ends, and ended after the runner.
            restart_policy: Some("Always".to_owned()),
            ..container(name, resources)
        }
    }

    pub(super) fn runner(&self, options: &WorkerOptions) -> serde_json::Result<Container> {
        Ok(Container {
            image: Some(options.runner_image.clone()),
            args: Some(vec!["upgrade".to_owned()]),
            env: Some(vec![
                value_variable(PLAN_VARIABLE, self.plan.to_json()?),
                field_variable("POD_NAME", "metadata.name"),
                field_variable(NODE_VARIABLE, "spec.nodeName"),
            ]),
            volume_mounts: Some(self.runner_mounts()),
            ..container(names::CONTAINER_RUNNER, options.runner_resources.clone().into())
        })
    }
}

/// Copies the program, and a passwd file in which the pod's user has a name.
pub(super) fn install(options: &WorkerOptions) -> Container {
    let passwd = format!("{}/passwd", layout::PASSWD_DIR);
    Container {
        image: Some(options.runner_image.clone()),
        args: Some(["install", "--to", layout::TOOLS_DIR, "--passwd", &passwd].map(Into::into).into()),
        volume_mounts: Some(install_mounts()),
        ..container("install", options.copy_resources.clone().into())
    }
}

/// What all containers have in common.
fn container(name: &str, resources: ResourceRequirements) -> Container {
    Container {
        name: name.to_owned(),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(resources),
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

//! The arguments of `launch`.

use anyhow::bail;
use clap::Args;
use pgops_kube::{ContainerResources, ImageArgs, PullPolicy};

use super::process::ProcessArgs;
use crate::launcher;

/// The arguments of `launch`.
#[derive(Args, Clone, Debug)]
pub struct LaunchArgs {
    /// Namespace of this installation.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// Name of this pod, which identifies it as the holder of the launcher's Lease.
    #[arg(long, env = "POD_NAME")]
    pod_name: String,
    /// Image of pgops-runner.
    #[arg(long, env = "PGOPS_RUNNER_IMAGE")]
    runner_image: String,
    #[command(flatten)]
    images: ImageArgs,
    /// Image pull policy of workers; the cluster's default if omitted.
    #[arg(long, env = "PGOPS_IMAGE_PULL_POLICY")]
    image_pull_policy: Option<PullPolicy>,
    /// Memory limit of the container in which a worker rehearses the restore of a schema, and runs code of users.
    #[arg(long, env = "PGOPS_REHEARSAL_MEMORY", default_value = "4Gi")]
    rehearsal_memory: launcher::MemoryLimit,
    /// Requests and limits, as JSON, of the containers that copy programs into a worker.
    #[arg(
        long,
        env = "PGOPS_COPY_RESOURCES",
        value_name = "JSON",
        default_value = r#"{"requests":{"cpu":"50m","memory":"64Mi"},"limits":{"cpu":"1","memory":"512Mi"}}"#
    )]
    copy_resources: ContainerResources,
    /// Requests and limits, as JSON, of the containers that run PostgreSQL's programs in a worker. A limit that is not
    /// set is that of the database's container.
    #[arg(
        long,
        env = "PGOPS_PROGRAMS_RESOURCES",
        value_name = "JSON",
        default_value = r#"{"requests":{"cpu":"100m","memory":"256Mi"}}"#
    )]
    programs_resources: ContainerResources,
    /// Requests and limits, as JSON, of the container that executes the upgrade in a worker.
    #[arg(
        long,
        env = "PGOPS_RUNNER_RESOURCES",
        value_name = "JSON",
        default_value = r#"{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"cpu":"1","memory":"1Gi"}}"#
    )]
    runner_resources: ContainerResources,
    /// Labels and annotations, as JSON, that the pods of workers have in addition to those of pgops.
    #[arg(long, env = "PGOPS_WORKER_METADATA", value_name = "JSON", default_value = "{}")]
    worker_metadata: launcher::PodMetadata,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

impl LaunchArgs {
    /// The options of the launcher.
    pub(crate) fn options(&self) -> anyhow::Result<launcher::Options> {
        if self.runner_image.is_empty() {
            bail!("--runner-image (PGOPS_RUNNER_IMAGE) is empty: set it to the image of pgops-runner");
        }
        Ok(launcher::Options {
            namespace: self.namespace.clone(),
            identity: self.pod_name.clone(),
            worker: launcher::WorkerOptions {
                runner_image: self.runner_image.clone(),
                images: self.images.clone(),
                pull_policy: self.image_pull_policy,
                rehearsal_memory: self.rehearsal_memory.clone(),
                copy_resources: self.copy_resources.clone(),
                programs_resources: self.programs_resources.clone(),
                runner_resources: self.runner_resources.clone(),
                metadata: self.worker_metadata.clone(),
            },
            watched: self.process.namespaces.namespaces(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pgops_kube::Namespaces;

    use super::*;
    use crate::args::{Cli, Command};

    fn launch_args(more: &[&str]) -> LaunchArgs {
        let line =
            ["pgops-webhook", "launch", "--namespace", "pgops-system", "--pod-name", "pgops-launcher-0"];
        match Cli::try_parse_from(line.iter().chain(more)).unwrap().command {
            Command::Launch(args) => *args,
            _ => panic!("another command"),
        }
    }

    #[test]
    fn launcher_requires_an_image_and_names_the_flag() {
        let error = launch_args(&["--runner-image", ""]).options().unwrap_err().to_string();
        assert!(error.contains("--runner-image"), "{error}");
        let line = ["--runner-image", "r:1", "--image-pull-policy", "IfNotPresent"];
        let worker = launch_args(&line).options().unwrap().worker;
        assert_eq!(
            (worker.runner_image.as_str(), worker.pull_policy),
            ("r:1", Some(PullPolicy::IfNotPresent))
        );
        assert_eq!(worker.rehearsal_memory, "4Gi".parse().unwrap());
        for resources in [&worker.copy_resources, &worker.runner_resources] {
            assert!(
                ["cpu", "memory"].iter().all(|name| resources.limits.contains_key(*name)),
                "{resources:?}"
            );
        }
    }

    #[test]
    fn launcher_works_in_the_watched_namespaces() {
        let watched = |more: &[&str]| {
            let line: Vec<_> = ["--runner-image", "r:1"].iter().chain(more).copied().collect();
            launch_args(&line).options().unwrap().watched
        };
        assert_eq!(watched(&[]), Namespaces::All);
        let named = Namespaces::Only(vec!["demo".to_owned(), "shop".to_owned()]);
        assert_eq!(watched(&["--watch-namespaces", "shop,demo"]), named);
    }
}

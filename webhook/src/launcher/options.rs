//! Settings of the launcher, from the flags of the program.

use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pgops_kube::{ContainerResources, ImageArgs, Namespaces, PullPolicy};

use super::pod_metadata::PodMetadata;

/// Settings of the launcher.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of this process as holder of the Lease.
    pub identity: String,
    /// What is the same for all workers.
    pub worker: WorkerOptions,
    /// Namespaces whose requests are launched.
    pub watched: Namespaces,
}

/// What is the same for all workers; everything else follows from request, database and catalog.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Image of pgops-runner.
    pub runner_image: String,
    /// Pull secrets and architecture of the images.
    pub images: ImageArgs,
    /// `imagePullPolicy` of every container of a worker.
    pub pull_policy: Option<PullPolicy>,
    /// Memory that code of users can take from the node at most, with the scratch server in which it runs.
    pub rehearsal_memory: MemoryLimit,
    /// Of the containers that copy programs.
    pub copy_resources: ContainerResources,
    /// Of the containers that run `PostgreSQL`'s programs.
    pub programs_resources: ContainerResources,
    /// Of the container that executes the plan.
    pub runner_resources: ContainerResources,
    /// Of the pods, in addition to those by which pgops finds them.
    pub metadata: PodMetadata,
}

/// A positive quantity of memory as Kubernetes writes it, such as `4Gi`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MemoryLimit(String);

/// A quantity of memory cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a quantity of memory: use an integer with Mi, Gi or Ti, such as 4Gi")]
pub struct ParseMemoryLimitError(String);

impl FromStr for MemoryLimit {
    type Err = ParseMemoryLimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = ["Mi", "Gi", "Ti"].iter().find_map(|unit| text.strip_suffix(unit));
        let is_positive = |number: &str| {
            number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<u32>().is_ok_and(|it| it > 0)
        };
        match number {
            Some(number) if is_positive(number) => Ok(Self(text.to_owned())),
            _ => Err(ParseMemoryLimitError(text.to_owned())),
        }
    }
}

impl From<MemoryLimit> for Quantity {
    fn from(limit: MemoryLimit) -> Self {
        Self(limit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("4Gi", true)]
    #[case("512Mi", true)]
    #[case("0Gi", false)]
    #[case("4", false)]
    #[case("4GB", false)]
    #[case("-1Gi", false)]
    #[case("+1Gi", false)]
    #[case("", false)]
    fn memory_limit_is_a_positive_quantity(#[case] text: &str, #[case] is_valid: bool) {
        assert_eq!(text.parse::<MemoryLimit>().is_ok(), is_valid);
    }
}

//! How many processors the database's server may use.

use k8s_openapi::api::core::v1::Pod;
use pgops_api::names;

use super::client::Cluster;

impl Cluster {
    /// By the CPU limit of the server's container; none if it has no limit, or that cannot be found out.
    pub async fn server_processors(&self) -> Option<usize> {
        limit(&self.pod().await.ok()??)
    }
}

fn limit(pod: &Pod) -> Option<usize> {
    let mut containers = pod.spec.as_ref()?.containers.iter();
    let server = containers.find(|container| container.name == names::CONTAINER_POSTGRES)?;
    whole_processors(&server.resources.as_ref()?.limits.as_ref()?.get("cpu")?.0)
}

/// The whole processors of a quantity, at least one.
fn whole_processors(quantity: &str) -> Option<usize> {
    let whole: usize = match quantity.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<usize>().ok()? / 1000,
        None => quantity.split('.').next()?.parse().ok()?,
    };
    Some(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2", Some(2))]
    #[case("3500m", Some(3))]
    #[case("1.5", Some(1))]
    #[case("250m", Some(1))]
    #[case("2k", None)]
    fn limit_is_counted_in_whole_processors(#[case] quantity: &str, #[case] expected: Option<usize>) {
        assert_eq!(whole_processors(quantity), expected);
    }
}

//! The flag for `imagePullPolicy`.

use clap::ValueEnum;

/// When images are pulled, with Kubernetes' names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// At each start of a container.
    Always,
    /// Unless the node has the image.
    IfNotPresent,
    /// Never: the node must have the image.
    Never,
}

impl PullPolicy {
    /// The value of `imagePullPolicy`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_has_kubernetes_names() {
        for policy in PullPolicy::value_variants() {
            assert_eq!(PullPolicy::from_str(policy.as_str(), false), Ok(*policy));
        }
    }
}

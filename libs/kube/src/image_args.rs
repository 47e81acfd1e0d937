//! What a pod in a database's namespace needs so that the kubelet can pull and run its images.

use std::collections::BTreeMap;

use clap::Args;
use k8s_openapi::api::core::v1::LocalObjectReference;

/// Label of a node with its architecture.
const LABEL_ARCHITECTURE: &str = "kubernetes.io/arch";

/// The flags about the images of pods that pgops creates.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct ImageArgs {
    /// Secrets for pulling images, separated by commas. Each namespace with databases needs its own.
    #[arg(long, env = "PGOPS_IMAGE_PULL_SECRETS", value_name = "NAMES", value_delimiter = ',')]
    pub image_pull_secrets: Vec<String>,
    /// Architecture that the images are built for, such as amd64: pods run on such nodes only.
    #[arg(long, env = "PGOPS_IMAGE_ARCHITECTURE", value_name = "ARCHITECTURE")]
    pub image_architecture: Option<String>,
}

impl ImageArgs {
    /// The pull secrets that a user has set for a pod, and then those of the flag.
    #[must_use]
    pub fn pull_secrets(
        &self,
        of_user: Option<Vec<LocalObjectReference>>,
    ) -> Option<Vec<LocalObjectReference>> {
        // An empty environment variable is one empty name.
        let names = self.image_pull_secrets.iter().filter(|name| !name.is_empty());
        let ours = names.map(|name| LocalObjectReference { name: name.clone() });
        let mut all = of_user.unwrap_or_default();
        for secret in ours {
            if !all.contains(&secret) {
                all.push(secret);
            }
        }
        Some(all).filter(|all| !all.is_empty())
    }

    /// The node selector that a user has set for a pod, with the architecture unless the user has chosen one.
    #[must_use]
    pub fn node_selector(
        &self,
        of_user: Option<BTreeMap<String, String>>,
    ) -> Option<BTreeMap<String, String>> {
        let architecture = self.image_architecture.as_ref().filter(|name| !name.is_empty());
        let Some(architecture) = architecture else { return of_user };
        let mut selector = of_user.unwrap_or_default();
        selector.entry(LABEL_ARCHITECTURE.to_owned()).or_insert_with(|| architecture.clone());
        Some(selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use rstest::rstest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        images: ImageArgs,
    }

    fn parse(arguments: &[&str]) -> ImageArgs {
        Line::parse_from(["program"].iter().chain(arguments)).images
    }

    #[rstest]
    #[case::none("", &[], None)]
    #[case::of_the_flag("a,b", &[], Some(&["a", "b"][..]))]
    #[case::of_the_user("", &["u"], Some(&["u"][..]))]
    #[case::of_both("u,a", &["u"], Some(&["u", "a"][..]))]
    fn pull_secrets_of_the_flag_follow_those_of_the_user(
        #[case] flag: &str,
        #[case] of_user: &[&str],
        #[case] expected: Option<&[&str]>,
    ) {
        let references = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| LocalObjectReference { name: (*name).to_owned() }).collect()
        };
        let of_user = Some(references(of_user)).filter(|of_user| !of_user.is_empty());
        let secrets = parse(&["--image-pull-secrets", flag]).pull_secrets(of_user);
        assert_eq!(secrets, expected.map(references));
    }

    #[test]
    fn node_selector_of_the_user_decides_about_the_architecture() {
        let selector = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let amd64 = parse(&["--image-architecture", "amd64"]);
        assert_eq!(parse(&["--image-architecture", ""]).node_selector(None), None);
        assert_eq!(amd64.node_selector(None), Some(selector(&[("kubernetes.io/arch", "amd64")])));
        let fast = selector(&[("disk", "fast")]);
        let both = selector(&[("disk", "fast"), ("kubernetes.io/arch", "amd64")]);
        assert_eq!(amd64.node_selector(Some(fast)), Some(both));
        let arm64 = selector(&[("kubernetes.io/arch", "arm64")]);
        assert_eq!(amd64.node_selector(Some(arm64.clone())), Some(arm64));
    }
}

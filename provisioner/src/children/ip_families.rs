//! The address families of the Services of databases.

use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::ServiceSpec;

/// Whether a Service has an address of each family.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum IpFamilyPolicy {
    #[value(name = "SingleStack")]
    Single,
    #[value(name = "PreferDualStack")]
    PreferDual,
    #[value(name = "RequireDualStack")]
    RequireDual,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum IpFamily {
    #[value(name = "IPv4")]
    V4,
    #[value(name = "IPv6")]
    V6,
}

/// The flags about the address families of Services.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct IpFamilyArgs {
    /// `ipFamilyPolicy` of the Services of databases; the cluster's default if omitted.
    #[arg(long, env = "PGOPS_IP_FAMILY_POLICY", value_name = "POLICY")]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// `ipFamilies` of the Services of new databases, separated by commas; the cluster's default if omitted.
    #[arg(long, env = "PGOPS_IP_FAMILIES", value_name = "FAMILIES", value_delimiter = ',')]
    pub ip_families: Vec<IpFamily>,
}

impl IpFamilyArgs {
    /// Whether an existing Service must be read before it is written.
    pub fn depend_on_existing(&self) -> bool {
        !self.ip_families.is_empty()
    }

    /// The Service with the families of the flags. Kubernetes refuses to change the first family, so a Service that has
    /// another one keeps its own: otherwise a changed flag would stop the reconciliation of every database.
    pub fn set(&self, service: &mut ServiceSpec, existing: Option<&ServiceSpec>) {
        service.ip_family_policy = self.ip_family_policy.as_ref().map(name);
        let ours: Vec<String> = self.ip_families.iter().map(name).collect();
        if ours.is_empty() {
            return;
        }
        let existing = existing.and_then(|existing| existing.ip_families.clone());
        let others = existing.filter(|existing| existing.first().is_some_and(|first| *first != ours[0]));
        service.ip_families = Some(others.unwrap_or(ours));
    }
}

/// The name that Kubernetes has for a value.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use rstest::rstest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        families: IpFamilyArgs,
    }

    fn service(arguments: &[&str], existing: Option<&[&str]>) -> ServiceSpec {
        let families = Line::parse_from(["program"].iter().chain(arguments)).families;
        let existing = existing.map(|families| ServiceSpec {
            ip_families: Some(families.iter().map(|family| (*family).to_owned()).collect()),
            ..ServiceSpec::default()
        });
        let mut service = ServiceSpec::default();
        families.set(&mut service, existing.as_ref());
        service
    }

    #[test]
    fn families_are_the_clusters_by_default() {
        assert_eq!(service(&[], Some(&["IPv6"])), ServiceSpec::default());
        let policy = service(&["--ip-family-policy", "PreferDualStack"], None);
        assert_eq!((policy.ip_family_policy.as_deref(), policy.ip_families), (Some("PreferDualStack"), None));
    }

    #[rstest]
    #[case::new(None, &["IPv6", "IPv4"])]
    #[case::gets_the_second_family(Some(&["IPv6"][..]), &["IPv6", "IPv4"])]
    #[case::has_another_first_family(Some(&["IPv4"][..]), &["IPv4"])]
    fn existing_service_keeps_its_first_family(#[case] existing: Option<&[&str]>, #[case] expected: &[&str]) {
        let service = service(&["--ip-families", "IPv6,IPv4"], existing);
        assert_eq!(service.ip_families.unwrap(), expected);
    }
}

//! Names of the Kubernetes objects that the certificates belong to.

/// The objects of one installation.
#[derive(Clone, Debug)]
pub struct Names {
    /// Namespace of the Secret and of the Service.
    pub namespace: String,
    /// Service through which the API server calls the webhook.
    pub service: String,
    /// Name of both webhook configurations, the validating and the mutating one.
    pub configuration: String,
}

impl Names {
    /// The DNS name with which API servers call the Service.
    #[must_use]
    pub fn server_name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// All DNS names of the Service, for the serving certificate.
    #[must_use]
    pub fn dns_names(&self) -> Vec<String> {
        let Self { namespace, service, .. } = self;
        let server_name = self.server_name();
        vec![
            format!("{service}.{namespace}"),
            format!("{server_name}.cluster.local"),
            server_name,
            service.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_has_four_dns_names() {
        let names = Names {
            namespace: "pgops-system".into(),
            service: "pgops-webhook".into(),
            configuration: String::new(),
        };
        assert_eq!(
            names.dns_names(),
            [
                "pgops-webhook.pgops-system",
                "pgops-webhook.pgops-system.svc.cluster.local",
                "pgops-webhook.pgops-system.svc",
                "pgops-webhook",
            ]
        );
    }
}

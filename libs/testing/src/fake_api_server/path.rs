//! The paths of the API: `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/PLURAL[/NAME[/SUBRESOURCE]]`.

use kube::Resource;

/// What a request is about.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Path<'a> {
    /// Path of the kind's objects, without a namespace.
    pub collection: String,
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
    pub subresource: Option<&'a str>,
}

impl<'a> Path<'a> {
    pub(super) fn parse(path: &'a str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        // The core group has no name.
        let (version, rest) = segments.split_at(if segments[0] == "api" { 2 } else { 3 });
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        Self {
            collection: format!("/{}/{}", version.join("/"), rest[0]),
            namespace,
            name: rest.get(1).copied(),
            subresource: rest.get(2).copied(),
        }
    }
}

/// Path of a kind's objects, without a namespace.
pub(super) fn collection<K: Resource<DynamicType = ()>>() -> String {
    K::url_path(&(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::Secret;

    #[test]
    fn path_names_kind_namespace_and_object() {
        let job = Path::parse("/apis/batch/v1/namespaces/demo/jobs/a/status");
        assert_eq!(
            job,
            Path {
                collection: collection::<Job>(),
                namespace: Some("demo"),
                name: Some("a"),
                subresource: Some("status")
            }
        );
        let secrets = Path::parse("/api/v1/secrets");
        assert_eq!(
            secrets,
            Path { collection: collection::<Secret>(), namespace: None, name: None, subresource: None }
        );
    }
}

//! A call to the API server that failed.

use kube::{Resource, ResourceExt};

use crate::status;

/// A call to the API server that failed: `failed to VERB KIND NAME`.
#[derive(Debug, thiserror::Error)]
#[error("failed to {verb} {kind} {name}")]
pub struct ApiError {
    verb: &'static str,
    kind: String,
    name: String,
    #[source]
    source: Box<kube::Error>,
}

impl ApiError {
    /// Makes the error of a call for the object called `name`, for `map_err`.
    pub fn on<K: Resource<DynamicType = ()>>(
        verb: &'static str,
        name: impl Into<String>,
    ) -> impl FnOnce(kube::Error) -> Self {
        let kind = K::kind(&()).into_owned();
        let name = name.into();
        move |source| Self { verb, kind, name, source: Box::new(source) }
    }

    /// Makes the error of a call for an object, which is named with its namespace.
    pub fn on_object<K: Resource<DynamicType = ()>>(
        verb: &'static str,
        object: &K,
    ) -> impl FnOnce(kube::Error) -> Self {
        let name = match object.namespace() {
            Some(namespace) => format!("{namespace}/{}", object.name_any()),
            None => object.name_any(),
        };
        Self::on::<K>(verb, name)
    }

    /// The cause: the API server's message, if it answered.
    #[must_use]
    pub fn cause(&self) -> String {
        match self.source.as_ref() {
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        }
    }

    /// Whether another client has changed the object since it was read. Then it is read again; nothing is wrong.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        status::is_conflict(&self.source)
    }

    /// Whether the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        status::is_not_found(&self.source)
    }

    /// Whether the API server, or an admission controller, refuses the call.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        status::is_refused(&self.source)
    }

    /// Whether the object itself is refused, as invalid or too large, whatever else changes.
    #[must_use]
    pub fn is_inadmissible(&self) -> bool {
        status::is_inadmissible(&self.source)
    }

    /// Whether the API server, or an admission webhook, is unavailable or busy, so that the same call may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        status::is_unavailable(&self.source)
    }

    /// Whether the call was a JSON patch that does not apply to the object.
    #[must_use]
    pub fn is_inapplicable_patch(&self) -> bool {
        status::is_inapplicable_patch(&self.source)
    }

    /// Whether an object of that name exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        status::is_already_exists(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Node, Secret};
    use kube::core::Status;

    fn answer(reason: &str, code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status {
            message: "the server's message".to_owned(),
            reason: reason.to_owned(),
            code,
            ..Status::default()
        }))
    }

    #[test]
    fn api_error_names_verb_kind_and_object() {
        let error = ApiError::on::<Secret>("read", "orders-auth")(answer("Forbidden", 403));
        assert_eq!(error.to_string(), "failed to read Secret orders-auth");
        assert_eq!(error.cause(), "the server's message");
        assert!(!error.is_conflict() && !error.is_not_found() && !error.is_already_exists());

        let mut secret = Secret::default();
        secret.metadata.name = Some("orders-auth".to_owned());
        secret.metadata.namespace = Some("demo".to_owned());
        let error = ApiError::on_object("delete", &secret)(answer("NotFound", 404));
        assert_eq!(error.to_string(), "failed to delete Secret demo/orders-auth");
        assert!(error.is_not_found());

        let mut node = Node::default();
        node.metadata.name = Some("one".to_owned());
        let error = ApiError::on_object("read", &node)(answer("Conflict", 409));
        assert_eq!(error.to_string(), "failed to read Node one");
        assert!(error.is_conflict());
    }

    #[test]
    fn existing_object_is_not_a_conflict() {
        let error = ApiError::on::<Secret>("create", "a")(answer("AlreadyExists", 409));
        assert!(error.is_already_exists() && !error.is_conflict());
    }
}

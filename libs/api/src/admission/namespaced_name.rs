//! The identity of a database in messages.

use crate::{Postgres, PostgresOpsRequest};

/// Namespace and name of a database, displayed as `namespace/name`.
#[derive(Clone, Copy, Debug)]
pub struct NamespacedName<'a> {
    /// Namespace of the `Postgres`.
    pub namespace: &'a str,
    /// Name of the `Postgres`.
    pub name: &'a str,
}

impl<'a> NamespacedName<'a> {
    /// The database that a request names; it is in the request's namespace.
    #[must_use]
    pub fn named_by(request: &'a PostgresOpsRequest) -> Self {
        Self {
            namespace: request.metadata.namespace.as_deref().unwrap_or_default(),
            name: &request.spec.database_ref.name,
        }
    }

    /// The identity of this database.
    #[must_use]
    pub fn of(database: &'a Postgres) -> Self {
        let metadata = &database.metadata;
        Self {
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for NamespacedName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

//! Namespace and name of a database, as people write them.

use std::fmt;

use pgops_api::Postgres;

#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

impl<'a> Place<'a> {
    pub fn of(database: &'a Postgres) -> Self {
        let metadata = &database.metadata;
        Self {
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

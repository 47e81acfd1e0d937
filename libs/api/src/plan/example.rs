//! The plan of an example, for the documentation and for unit tests of all crates.

use super::{CreateroleGrants, Reindex, Repartition, Scope, UpgradePlan, VersionRef};

impl UpgradePlan {
    /// The plan of the request `demo/orders-17` for the database `orders`, between these versions, with the default options.
    #[must_use]
    pub fn example(from: &str, to: &str) -> Self {
        Self {
            namespace: "demo".to_owned(),
            request: "orders-17".to_owned(),
            request_uid: "3f9c21aa-1111-2222-3333-444455556666".to_owned(),
            database: "orders".to_owned(),
            database_uid: "5d1c0a2e-1111-2222-3333-444455556666".to_owned(),
            from: VersionRef::example(from),
            to: VersionRef::example(to),
            servers: 1,
            scope: Scope::Upgrade,
            transfer_mode: None,
            keep_old_data_seconds: None,
            reindex: Reindex::default(),
            repartition: Repartition::default(),
            createrole_grants: CreateroleGrants::default(),
            extensions: Vec::new(),
            timeout_seconds: None,
            max_retries: 1,
        }
    }
}

impl VersionRef {
    /// An entry that is named like its version, with an image of that tag.
    fn example(version: &str) -> Self {
        Self { name: version.to_owned(), version: version.to_owned(), image: format!("postgres:{version}") }
    }
}

//! What the tests of several modules use.

use crate::database::Database;

/// The database `demo/orders` of version 17, seen from its pod 1.
pub fn orders() -> Database {
    let name = |text: &str| text.parse().unwrap();
    Database::new(name("demo"), name("orders"), name("orders-ha-17"), name("orders-1")).unwrap()
}

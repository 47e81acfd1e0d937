//! The checks of the system catalogs, as data.

mod databases;
mod server;

use super::check::Check;
pub use databases::EVENT_TRIGGER_CODE;

/// All of them, in the order of their findings.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    server::CHECKS.iter().chain(databases::CHECKS)
}

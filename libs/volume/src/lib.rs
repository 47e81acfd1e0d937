//! The volume of a database, as every program that mounts it sees it.
//!
//! | file | content |
//! |---|---|
//! | `paths` | where things are on the volume |
//! | `durable` | replacing a file so that a crash leaves the old or the new content |
//! | `interlock` | the lock that keeps all `PostgreSQL` programs but one away from the data |
//! | `active` | the major version that serves |
//! | `retired` | data that an upgrade has replaced, and until when it is kept |
//! | [`tablespaces`](tablespaces()) | the directories that a data directory links to |
//! | `removal` | removing data, and nothing that an operator has put next to it |
//! | `missing` | operations for which a missing file is not an error |
//!
//! Only this crate knows how to access a volume; what its files are called is in [`pgops_api::layout`]. It has no async
//! code and no Kubernetes client: `pgops-instance` must stay one small static binary.

mod active;
mod durable;
mod error;
mod interlock;
mod missing;
mod paths;
mod removal;
mod retired;
mod tablespaces;

pub use durable::{create_private_dir, replace, sync_dir};
pub use error::FileError;
pub use interlock::Interlock;
pub use missing::{exists, ignore_not_found, list_if_exists, read_if_exists};
pub use paths::Volume;
pub use removal::remove_dir_if_exists;
pub use retired::Retired;
pub use tablespaces::tablespaces;

//! The volume of a database, as every program that mounts it sees it.
//!
//! | file | content |
//! |---|---|
//! | `paths` | where things are on the volume |
//! | [`Tree`] | files that others change too: every access of pgops, which nothing leads astray or blocks |
//! | `read`, `write`, `removal`, `size` | what is done with them |
//! | `interlock` | the lock that keeps all `PostgreSQL` programs but one away from the data |
//! | `descriptors` | how the lock reaches a program in another container, or one that another program starts |
//! | `active` | the major version that serves |
//! | `retired` | data that an upgrade has replaced, and until when it is kept |
//! | `space` | how much it has, and when that is little |
//! | `state` | whether a file has been written since |
//! | `tablespaces` | the directories that a data directory links to |
//!
//! Only this crate knows how to access a volume; what its files are called is in [`pgops_api::layout`]. It has no async
//! code and no Kubernetes client: `pgops-instance` must stay one small static binary.

mod active;
mod descriptors;
mod error;
mod interlock;
mod paths;
mod read;
mod refused;
mod removal;
mod retired;
mod size;
mod space;
mod state;
mod tablespaces;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use descriptors::{receive_descriptors, send_descriptors};
pub use error::{FileError, is_full};
pub use interlock::Interlock;
pub use paths::Volume;
pub use retired::Retired;
pub use space::Space;
pub use state::FileState;
pub use tree::Tree;

//! The steps, one file each; [`pgops_api::plan::Step::sequence`] has their order. Each finds out what of its effect is there, and
//! so may be done or undone any number of times.

mod analyze;
mod clean_up;
mod copied_old_binaries;
mod data_directory_initialized;
mod pause_database;
mod pg_upgraded;
mod preflight;
mod rebuild_indexes;
mod replaced_data_directory;
mod resume_database;
mod start_database;
mod stop_database;
mod update_database;
mod update_extensions;
mod update_stateful_set_image;
mod verify_database;

mod error;
mod facts;
mod finding;
mod world;

pub use error::{StepError, display_chain};
pub use facts::Facts;
pub use finding::Finding;
pub use world::Upgrade;

//! The steps, one file each, in order of execution. Each finds out what of its effect is there, and
//! so may be done or undone any number of times.

mod s01_copied_old_binaries;
mod s02_preflight;
mod s03_data_directory_initialized;
mod s04_pause_database;
mod s05_stop_database;
mod s06_pg_upgraded;
mod s07_replaced_data_directory;
mod s08_update_stateful_set_image;
mod s09_start_database;
mod s10_verify_database;
mod s11_update_database;
mod s12_resume_database;
mod s13_analyze;
mod s14_clean_up;

mod error;
mod facts;
mod finding;
mod world;

pub use error::{StepError, chain};
pub use facts::Facts;
pub use finding::Finding;
pub use world::Upgrade;

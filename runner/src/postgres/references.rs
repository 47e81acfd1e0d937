//! What definitions and settings name outside the database, and the target image must have.
//!
//! - [`constants`] finds the string constants in a definition, [`time_zones`] those that are time zones, in the
//!   [`definitions`] of a restored database;
//! - [`dictionaries`] has the files of text search dictionaries;
//! - [`server_settings`] has the programs and files that settings of the server name.

pub mod constants;
pub mod definitions;
pub mod dictionaries;
pub mod server_settings;
pub mod time_zones;
mod tokens;

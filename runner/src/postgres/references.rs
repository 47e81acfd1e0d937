//! What definitions and settings name outside the database, and the target image must have.
//!
//! - [`constants`] finds the string constants in a definition, [`time_zones`] those that are time zones, in the
//!   [`definitions`] of a restored database;
//! - [`dictionaries`] has text search dictionaries with their files, [`stemmers`] the stemmers that major versions change;
//! - [`stored_zones`] has the time zones that stored results depend on;
//! - [`pgcrypto`] has the algorithms that the extension takes from the image;
//! - [`features`] says what a server was built for, [`modules`] what functions import in their languages;
//! - [`server_settings`] has the programs and files that settings of the server name, [`own_paths`] the [`paths`] that lead into its
//!   data directory, and [`foreign_files`] what options of definitions name.

pub mod constants;
pub mod definitions;
pub mod dictionaries;
pub mod features;
pub mod foreign_files;
pub mod modules;
pub mod own_paths;
mod paths;
pub mod pgcrypto;
pub mod server_settings;
pub mod stemmers;
pub mod stored_zones;
pub mod time_zones;
pub mod tokens;

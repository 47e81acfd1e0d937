//! Sessions with servers as the superuser, and the queries that several steps share.

pub mod as_role;
pub mod catalog;
pub mod cluster_shape;
pub mod database_error;
pub mod error;
pub mod extensions;
pub mod file_settings;
pub mod inventory;
pub mod libraries;
mod limited_stream;
pub mod query;
pub mod quote;
pub mod serving_settings;
pub mod session;
pub mod settings;
pub mod side_by_side;
pub mod stored_settings;
pub mod update_function;

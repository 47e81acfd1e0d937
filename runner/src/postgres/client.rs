//! Sessions with servers as the superuser, and the queries that several steps share.

pub mod as_role;
pub mod build_parameters;
pub mod catalog;
pub mod cluster_shape;
pub mod copy;
pub mod database_error;
pub mod error;
pub mod extension_rights;
pub mod extensions;
pub mod file_settings;
pub mod functions_in_c;
pub mod inventory;
pub mod jit;
pub mod libraries;
mod limited_stream;
pub mod query;
pub mod quote;
pub mod serving_settings;
pub mod session;
pub mod settings;
pub mod side_by_side;
pub mod stored_settings;
pub mod tls;
pub mod update_function;

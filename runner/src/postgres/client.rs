//! Sessions with servers, as the superuser.

pub mod extensions;
pub mod session;

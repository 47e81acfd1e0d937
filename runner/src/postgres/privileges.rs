//! Who may do what on a server: compared before and after the schema is restored, since a restore evaluates definitions
//! as the superuser, and whatever code they call may give itself rights that last.
//!
//! - [`snapshot`] has the rights as data, [`read`] reads them from a server;
//! - [`system_code`] says whether the server's answers can be trusted, [`facts`] has the rights on users' objects;
//! - [`compare`] finds what an upgrade does not explain, one [`difference`] each.

pub mod compare;
pub mod difference;
pub mod facts;
mod grants;
pub mod read;
mod roles;
pub mod snapshot;
pub mod system_code;
